//! Whose idea a move is: automatic moves are bound by more rules than moves by hand.

/// Whose idea a move is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Initiative {
    /// The policy's: all rules hold.
    Automatic,
    /// A person's: exclusions, windows, headroom and budgets of moves are about automatic moves and do not hold.
    ByHand,
}
