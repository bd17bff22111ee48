//! The tree hash: standard BLAKE3, computed piece by piece in any order.
//!
//! BLAKE3 is a binary tree over chunks of 1 KiB, so an aligned power-of-two run of bytes is a complete subtree whose
//! chaining value depends on nothing but its bytes and its offset. Pieces of a file can therefore be hashed on any
//! connection in any order, and their values merged to exactly the root that `b3sum` prints. Section 2.1 of the BLAKE3
//! paper has the shape of the tree.
//!
//! Nothing here reads files, and there is no keyed or key-derivation mode.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use blake3::Hasher;
use blake3::hazmat::{HasherExt, Mode, merge_subtrees_non_root, merge_subtrees_root};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

use crate::hex;

/// Bytes in a chunk group, the smallest subtree that is ever stored beside a file.
pub const GROUP: u64 = 256 * 1024;

/// Bytes in a piece, the subtree that is scheduled, acknowledged and journalled as one.
pub const PIECE: u64 = 1024 * 1024;

const _: () = assert!(PIECE.is_multiple_of(GROUP) && (PIECE / GROUP).is_power_of_two());

/// Pieces in a file of `size` bytes; an empty file has one empty piece.
#[must_use]
pub const fn pieces_in(size: u64) -> u64 {
    if size == 0 { 1 } else { size.div_ceil(PIECE) }
}

/// The bytes that piece `index` covers in a file of `size` bytes; empty where the file has no such piece.
#[must_use]
pub fn piece_range(size: u64, index: u64) -> Range<u64> {
    let start = index.saturating_mul(PIECE).min(size);
    start..start.saturating_add(PIECE).min(size)
}

/// The hash of a whole content, as `b3sum` prints it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Root(pub [u8; 32]);

/// The chaining value of one subtree.
///
/// It is not the hash of the subtree's bytes, except for the only piece of a file: that one's value *is* the [`Root`].
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cv(pub [u8; 32]);

/// A text that is no hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a BLAKE3 hash has 64 hexadecimal digits")]
pub struct NotAHash;

impl fmt::Display for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex::write(&self.0, f)
    }
}

impl fmt::Debug for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Root({self})")
    }
}

impl fmt::Debug for Cv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cv(")?;
        hex::write(&self.0, f)?;
        f.write_str(")")
    }
}

impl FromStr for Root {
    type Err = NotAHash;

    /// Reads 64 hexadecimal digits of either case.
    fn from_str(text: &str) -> Result<Self, NotAHash> {
        hex::read_32(text).map(Self).ok_or(NotAHash)
    }
}

impl Serialize for Root {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Root {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Hashes a content that is at hand as a whole.
#[must_use]
pub fn hash_whole(content: &[u8]) -> Root {
    Root(*blake3::hash(content).as_bytes())
}

/// Hashes a content of any length that comes in order.
#[derive(Clone, Debug, Default)]
pub struct RootHasher {
    hasher: Hasher,
}

impl RootHasher {
    /// Before the first byte.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
    }

    /// Bytes taken so far.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.hasher.count()
    }

    /// Whether no byte was taken yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The hash of the bytes so far.
    #[must_use]
    pub fn finish(&self) -> Root {
        Root(*self.hasher.finalize().as_bytes())
    }
}

/// What a piece is to its file; decides whether its value is the root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The only piece.
    Whole,
    /// One of two or more.
    OneOfMany,
}

impl Part {
    /// What each piece is in a file of `size` bytes.
    #[must_use]
    pub const fn of(size: u64) -> Self {
        if size <= PIECE { Self::Whole } else { Self::OneOfMany }
    }
}

/// Hashes one piece as its bytes come.
#[derive(Clone, Debug)]
pub struct PieceHasher {
    hasher: Hasher,
    part: Part,
}

impl PieceHasher {
    /// Begins piece `index`, counted from 0.
    ///
    /// # Panics
    /// When the piece would begin past 2^64 bytes.
    #[must_use]
    pub fn new(index: u64, part: Part) -> Self {
        let mut hasher = Hasher::new();
        if part == Part::OneOfMany {
            let offset = index.checked_mul(PIECE).expect("no file reaches 2^64 bytes");
            hasher.set_input_offset(offset);
        }
        Self { hasher, part }
    }

    /// Takes the next bytes of the piece.
    ///
    /// # Panics
    /// When a piece is given more than [`PIECE`] bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        let taken = self.hasher.count() + bytes.len() as u64;
        assert!(taken <= PIECE, "a piece of {taken} bytes");
        self.hasher.update(bytes);
    }

    /// Bytes taken so far. A caller whose source ended early sees it here.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.hasher.count()
    }

    /// Whether no byte was taken yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The piece's value.
    ///
    /// A piece of a longer file is never empty. Where a source ended early and it is, the value is the hash of nothing,
    /// which no tree with content contains.
    #[must_use]
    pub fn finish(&self) -> Cv {
        Cv(match self.part {
            Part::Whole => *self.hasher.finalize().as_bytes(),
            Part::OneOfMany if self.is_empty() => hash_whole(&[]).0,
            Part::OneOfMany => self.hasher.finalize_non_root(),
        })
    }
}

/// Hashes one piece that is at hand as a whole.
///
/// # Panics
/// As [`PieceHasher`].
#[must_use]
pub fn hash_piece(index: u64, part: Part, content: &[u8]) -> Cv {
    let mut hasher = PieceHasher::new(index, part);
    hasher.update(content);
    hasher.finish()
}

/// What became of a value given to [`TreeHasher::add`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    /// It was new.
    New,
    /// The piece was there with this very value.
    Same,
    /// The piece was there and has been merged with its neighbours, so that the values could not be compared.
    Merged,
}

/// A value that cannot be part of the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AddError {
    /// The file has no such piece.
    #[error("piece {piece} of a file that has {pieces}")]
    NoSuchPiece {
        /// The piece given.
        piece: u64,
        /// Pieces in the file.
        pieces: u64,
    },
    /// The piece was there with another value: its content has changed in between.
    #[error("piece {piece} was hashed twice with different results")]
    Differs {
        /// The piece given.
        piece: u64,
    },
}

#[derive(Clone, Copy, Debug)]
struct Node {
    /// The node covers `2^level` pieces, fewer at the end of the file.
    level: u32,
    cv: Cv,
}

/// Merges the values of a file's pieces to its root.
///
/// Neighbours are merged as soon as both are there, so that it holds about log2(n) values plus one for each gap while
/// pieces arrive nearly in order.
#[derive(Clone, Debug)]
pub struct TreeHasher {
    pieces: u64,
    /// Largest subtrees known, by their first piece; no two overlap.
    nodes: BTreeMap<u64, Node>,
}

impl TreeHasher {
    /// For a file of `size` bytes.
    #[must_use]
    pub fn new(size: u64) -> Self {
        Self {
            pieces: pieces_in(size),
            nodes: BTreeMap::new(),
        }
    }

    /// Adds the value of piece `index`. Order does not matter; a piece may be added twice.
    ///
    /// # Errors
    /// A piece past the end of the file, or one that is still unmerged and was added with another value before.
    pub fn add(&mut self, index: u64, cv: Cv) -> Result<Added, AddError> {
        if index >= self.pieces {
            return Err(AddError::NoSuchPiece {
                piece: index,
                pieces: self.pieces,
            });
        }
        if let Some((start, node)) = self.covering(index) {
            // Of a node that begins here and was only moved up the right edge, the value is still the piece's own.
            return if self.end_of(start, node.level) - start > 1 {
                Ok(Added::Merged)
            } else if node.cv == cv {
                Ok(Added::Same)
            } else {
                Err(AddError::Differs { piece: index })
            };
        }
        self.insert(index, cv);
        Ok(Added::New)
    }

    /// Puts a new piece in and merges it upwards as far as its neighbours are there.
    fn insert(&mut self, index: u64, cv: Cv) {
        let (mut start, mut node) = (index, Node { level: 0, cv });
        while width(node.level) < self.pieces {
            let sibling = start ^ width(node.level);
            // A subtree without right sibling is its parent's value unchanged.
            if sibling < self.pieces {
                let Some(other) = self.nodes.get(&sibling).filter(|other| other.level == node.level) else {
                    break;
                };
                let (left, right) = if sibling < start {
                    (other.cv.0, node.cv.0)
                } else {
                    (node.cv.0, other.cv.0)
                };
                self.nodes.remove(&sibling);
                node.cv = Cv(if width(node.level + 1) >= self.pieces {
                    *merge_subtrees_root(&left, &right, Mode::Hash).as_bytes()
                } else {
                    merge_subtrees_non_root(&left, &right, Mode::Hash)
                });
                start = start.min(sibling);
            }
            node.level += 1;
        }
        self.nodes.insert(start, node);
    }

    fn covering(&self, index: u64) -> Option<(u64, Node)> {
        let (&start, &node) = self.nodes.range(..=index).next_back()?;
        (index < self.end_of(start, node.level)).then_some((start, node))
    }

    fn end_of(&self, start: u64, level: u32) -> u64 {
        (start + width(level)).min(self.pieces)
    }

    /// Whether piece `index` has been added.
    #[must_use]
    pub fn contains(&self, index: u64) -> bool {
        self.covering(index).is_some()
    }

    /// Pieces in the file.
    #[must_use]
    pub const fn pieces(&self) -> u64 {
        self.pieces
    }

    /// How many pieces from the file's beginning have been added without a gap.
    #[must_use]
    pub fn prefix(&self) -> u64 {
        let mut end = 0;
        for (&start, node) in &self.nodes {
            if start != end {
                break;
            }
            end = self.end_of(start, node.level);
        }
        end
    }

    /// Values held at the moment, which is what memory depends on.
    #[must_use]
    pub fn held(&self) -> usize {
        self.nodes.len()
    }

    /// The root, once every piece is there.
    #[must_use]
    pub fn finish(&self) -> Option<Root> {
        let root = self.nodes.get(&0)?;
        (width(root.level) >= self.pieces).then_some(Root(root.cv.0))
    }
}

/// Pieces under a complete node of this level.
const fn width(level: u32) -> u64 {
    1 << level
}
