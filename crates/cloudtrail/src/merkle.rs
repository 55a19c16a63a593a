//! The Merkle tree of RFC 6962 over a trail's events, kept as the few hashes that growing it needs.

use sha2::{Digest, Sha256};

/// A hash of the tree: SHA-256.
pub type Sha256Hash = [u8; 32];

/// A tree that grows at its right edge: its size, and the roots of the perfect trees it consists of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MerkleTree {
    size: u64,
    /// Largest first: one for each bit that is set in `size`.
    peaks: Vec<Sha256Hash>,
}

/// The hash of a leaf: of a zero byte and the event's line.
pub fn leaf_hash(line: &[u8]) -> Sha256Hash {
    Sha256::new().chain_update([0]).chain_update(line).finalize().into()
}

/// The hash of a node: of a one byte and the hashes of its children.
pub fn node_hash(left: &Sha256Hash, right: &Sha256Hash) -> Sha256Hash {
    Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
}

impl MerkleTree {
    /// The tree without leaves.
    pub fn empty() -> Self {
        Self::default()
    }

    /// The tree of this size with these peaks, largest first; none unless they are as many as the size asks for.
    pub fn of(size: u64, peaks: Vec<Sha256Hash>) -> Option<Self> {
        (u32::try_from(peaks.len()) == Ok(size.count_ones())).then_some(Self { size, peaks })
    }

    /// Adds a leaf by its hash.
    pub fn push(&mut self, leaf: Sha256Hash) {
        let mut hash = leaf;
        for _ in 0..self.size.trailing_ones() {
            // INVARIANT (peaks): there is one for each bit that is set.
            let Some(left) = self.peaks.pop() else { return };
            hash = node_hash(&left, &hash);
        }
        self.peaks.push(hash);
        self.size = self.size.saturating_add(1);
    }

    /// How many leaves there are.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// What the tree is kept as, largest first.
    pub fn peaks(&self) -> &[Sha256Hash] {
        &self.peaks
    }

    /// The hash of the whole tree; of nothing, for the empty one.
    pub fn root(&self) -> Sha256Hash {
        let mut peaks = self.peaks.iter().rev();
        match peaks.next() {
            Some(smallest) => peaks.fold(*smallest, |right, left| node_hash(left, &right)),
            None => Sha256::digest([]).into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The leaves and roots of Certificate Transparency's reference tree.
    const LEAVES: [&str; 8] =
        ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
    const ROOTS: [&str; 9] = [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];

    /// The definition of RFC 6962, section 2.1, as it stands there.
    fn defined(leaves: &[Sha256Hash]) -> Sha256Hash {
        match leaves {
            [] => Sha256::digest([]).into(),
            [leaf] => *leaf,
            several => {
                let (left, right) = several.split_at(several.len().next_power_of_two() / 2);
                node_hash(&defined(left), &defined(right))
            }
        }
    }

    #[test]
    fn the_reference_trees_roots_come_out() {
        let mut tree = MerkleTree::empty();
        assert_eq!(hex::encode(tree.root()), ROOTS[0]);
        for (leaf, root) in LEAVES.iter().zip(&ROOTS[1..]) {
            tree.push(leaf_hash(&hex::decode(leaf).unwrap()));
            assert_eq!(hex::encode(tree.root()), *root);
        }
        assert_eq!((tree.size(), tree.peaks().len()), (8, 1));
    }

    #[test]
    fn peaks_that_do_not_fit_the_size_make_no_tree() {
        assert_eq!(MerkleTree::of(3, vec![[0; 32]]), None);
        assert_eq!(MerkleTree::of(0, vec![[0; 32]]), None);
        assert_eq!(MerkleTree::of(0, Vec::new()), Some(MerkleTree::empty()));
        assert!(MerkleTree::of(u64::MAX, vec![[0; 32]; 64]).is_some());
    }

    proptest! {
        #[test]
        fn a_grown_tree_is_the_defined_one_wherever_it_was_put_away(leaves in prop::collection::vec(any::<[u8; 32]>(), 0..70), cut in 0usize..70) {
            let mut tree = MerkleTree::empty();
            for (index, leaf) in leaves.iter().enumerate() {
                if index == cut {
                    tree = MerkleTree::of(tree.size(), tree.peaks().to_vec()).unwrap();
                }
                tree.push(*leaf);
            }
            prop_assert_eq!(tree.root(), defined(&leaves));
            prop_assert_eq!(tree.size(), leaves.len() as u64);
        }
    }
}
