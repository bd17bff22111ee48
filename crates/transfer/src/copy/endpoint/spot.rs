//! One path at either side.

use std::sync::Arc;

use super::base::Base;

/// A path below a base.
#[derive(Clone)]
pub struct Spot {
    pub base: Base,
    pub rel: Vec<u8>,
}

impl Spot {
    /// Whether both are below the same base, so that one can be named beside the other.
    pub fn shares_base(&self, other: &Self) -> bool {
        match (&self.base, &other.base) {
            (Base::Near(a), Base::Near(b)) => Arc::ptr_eq(a, b),
            (Base::Far { server: a, dir: x }, Base::Far { server: b, dir: y }) => Arc::ptr_eq(a, b) && x == y,
            _ => false,
        }
    }

    /// The whole path, for a server or for messages.
    pub fn path(&self) -> Vec<u8> {
        self.base.path_of(&self.rel)
    }
}
