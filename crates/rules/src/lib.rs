//! What makes a state or a move sane, each rule with a reason code and a sentence.
