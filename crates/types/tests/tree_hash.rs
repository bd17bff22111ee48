//! The tree hash gives what BLAKE3 gives, in whatever order the pieces come.

use proptest::prelude::*;
use renkei_types::tree_hash::{
    AddError, Added, Cv, PIECE, Part, PieceHasher, Root, RootHasher, TreeHasher, hash_piece, hash_whole, piece_range,
    pieces_in,
};

/// Bytes that differ from place to place, so that a piece in the wrong place is seen.
fn content(size: u64) -> Vec<u8> {
    (0..size)
        .map(|at| (at ^ (at >> 8) ^ (at >> 16).wrapping_mul(31)) as u8)
        .collect()
}

fn values(content: &[u8]) -> Vec<Cv> {
    let size = content.len() as u64;
    let piece = |index| {
        let range = piece_range(size, index);
        hash_piece(
            index,
            Part::of(size),
            &content[range.start as usize..range.end as usize],
        )
    };
    (0..pieces_in(size)).map(piece).collect()
}

/// Up to 17 pieces, and as often as not within 2 bytes of a power of two.
fn sizes() -> impl Strategy<Value = u64> {
    let near_power = (0_u32..25, -2_i64..=2).prop_map(|(power, off)| ((1_i64 << power) + off).max(0) as u64);
    let near_piece = (0_i64..17, -2_i64..=2).prop_map(|(n, off)| (n * PIECE as i64 + off).max(0) as u64);
    prop_oneof![near_power, near_piece, 0..17 * PIECE]
}

proptest! {
    // Each hashes megabytes.
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases / 4, ..ProptestConfig::default() })]

    #[test]
    fn pieces_in_any_order_merge_to_the_root_of_blake3(
        (size, order) in sizes().prop_flat_map(|size| {
            let order: Vec<u64> = (0..pieces_in(size)).collect();
            (Just(size), Just(order).prop_shuffle())
        })
    ) {
        let content = content(size);
        let values = values(&content);
        let mut tree = TreeHasher::new(size);
        for (done, &index) in order.iter().enumerate() {
            prop_assert_eq!(tree.finish(), None);
            prop_assert!(!tree.contains(index));
            prop_assert_eq!(tree.add(index, values[index as usize]), Ok(Added::New));
            prop_assert!(tree.contains(index));
            let added = &order[..=done];
            let prefix = (0..).take_while(|piece| added.contains(piece)).count() as u64;
            prop_assert_eq!(tree.prefix(), prefix);
        }
        prop_assert_eq!(tree.finish(), Some(Root(*blake3::hash(&content).as_bytes())));
    }

    #[test]
    fn content_may_come_in_parts_of_any_length(size in 0..3 * PIECE, cuts in prop::collection::vec(1_usize..200_000, 1..8)) {
        let content = content(size);
        let mut tree = TreeHasher::new(size);
        let mut whole = RootHasher::new();
        for index in 0..pieces_in(size) {
            let range = piece_range(size, index);
            let mut rest = &content[range.start as usize..range.end as usize];
            let mut piece = PieceHasher::new(index, Part::of(size));
            for cut in cuts.iter().cycle() {
                let (now, later) = rest.split_at(rest.len().min(*cut));
                piece.update(now);
                whole.update(now);
                rest = later;
                if rest.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(piece.len(), range.end - range.start);
            tree.add(index, piece.finish()).unwrap();
        }
        prop_assert_eq!(tree.finish(), Some(hash_whole(&content)));
        prop_assert_eq!(whole.finish(), hash_whole(&content));
    }
}

#[test]
fn the_value_of_an_only_piece_is_the_root() {
    for size in [0, 1, 1024, PIECE - 1, PIECE] {
        let content = content(size);
        assert_eq!(
            hash_piece(0, Part::of(size), &content).0,
            hash_whole(&content).0,
            "{size} bytes"
        );
    }
}

#[test]
fn in_order_a_large_file_holds_few_values() {
    // Values need not be real: only their number counts.
    let pieces = 100_000;
    let mut tree = TreeHasher::new(pieces * PIECE);
    for index in 0..pieces {
        tree.add(index, Cv([index as u8; 32])).unwrap();
        assert!(tree.held() <= 17, "{} values after {index} pieces", tree.held());
    }
    assert!(tree.finish().is_some());
}

#[test]
fn a_second_value_is_compared_as_long_as_the_first_stands_alone() {
    let (one, two) = (Cv([1; 32]), Cv([2; 32]));
    let mut tree = TreeHasher::new(4 * PIECE);
    assert_eq!(tree.add(1, one), Ok(Added::New));
    assert_eq!(tree.add(1, one), Ok(Added::Same));
    assert_eq!(tree.add(1, two), Err(AddError::Differs { piece: 1 }));
    assert_eq!(tree.add(0, two), Ok(Added::New));
    assert_eq!(tree.add(1, two), Ok(Added::Merged));
    assert_eq!(tree.add(4, one), Err(AddError::NoSuchPiece { piece: 4, pieces: 4 }));
}

#[test]
fn a_piece_that_has_no_right_neighbour_is_still_compared() {
    let mut tree = TreeHasher::new(5 * PIECE);
    assert_eq!(tree.add(4, Cv([4; 32])), Ok(Added::New));
    assert_eq!(tree.add(4, Cv([4; 32])), Ok(Added::Same));
    assert_eq!(tree.add(4, Cv([5; 32])), Err(AddError::Differs { piece: 4 }));
}

#[test]
fn a_piece_whose_source_ended_early_matches_nothing() {
    let missing = PieceHasher::new(3, Part::OneOfMany).finish();
    assert_ne!(missing, hash_piece(3, Part::OneOfMany, b"x"));
}

#[test]
fn a_root_is_read_and_shown_as_b3sum_does() {
    let empty = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";
    assert_eq!(hash_whole(b"").to_string(), empty);
    assert_eq!(empty.parse(), Ok(hash_whole(b"")));
    assert_eq!(empty.to_uppercase().parse(), Ok(hash_whole(b"")));
    assert!(empty[1..].parse::<Root>().is_err());
    assert!(empty.replace('f', "g").parse::<Root>().is_err());
    assert!("é".repeat(32).parse::<Root>().is_err());
}
