//! Question 1: a good placement B.
