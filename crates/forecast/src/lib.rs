//! Demand over time: sustained load, migration duration and downtime.
