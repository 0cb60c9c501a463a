//! Committees whose messages a test carries.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use alloy_primitives::{Signature, U256};
use capstan_base::{ChainId, UnsignedTransaction};
use capstan_signer::protocol::{
    Ceremony, Committee, Fault, Incoming, KeyGeneration, KeyShare, MemberIndex, Outgoing, Progress,
    Refresh, Signing,
};

/// One member's side of any ceremony.
pub trait Side {
    type Output;
    fn receive(&mut self, incoming: Incoming<'_>) -> Result<Progress<Self::Output>, Fault>;
}

macro_rules! side {
    ($protocol:ty, $output:ty) => {
        impl Side for Ceremony<$protocol> {
            type Output = $output;
            fn receive(&mut self, incoming: Incoming<'_>) -> Result<Progress<$output>, Fault> {
                Ceremony::receive(self, incoming)
            }
        }
    };
}

side!(KeyGeneration, KeyShare);
side!(Refresh, KeyShare);
side!(Signing, Signature);

/// A message under way.
#[derive(Clone)]
pub struct Letter {
    pub from: MemberIndex,
    pub to: MemberIndex,
    pub bytes: Vec<u8>,
}

/// What became of each member.
pub type Outcomes<T> = BTreeMap<MemberIndex, Result<T, Fault>>;

/// Everybody's sides, and the letters that are under way between them.
pub struct Cluster<S: Side> {
    pub sides: BTreeMap<MemberIndex, S>,
    pub letters: Vec<Letter>,
    pub outcomes: Outcomes<S::Output>,
}

impl<S: Side> Cluster<S> {
    pub fn of(sides: impl IntoIterator<Item = (MemberIndex, (S, Vec<Outgoing>))>) -> Self {
        let (sides, mut letters) = (sides.into_iter(), Vec::new());
        let open = |(me, (side, outgoing)): (MemberIndex, (S, Vec<Outgoing>))| {
            letters.extend(posted(me, outgoing));
            (me, side)
        };
        let sides = sides.map(open).collect();
        Self { sides, letters, outcomes: Outcomes::new() }
    }

    /// Carries letters until none is left. `next` picks which of them goes, and may change, repeat or
    /// withhold it: it gives back what is delivered in its place.
    pub fn run(&mut self, mut next: impl FnMut(&mut Vec<Letter>) -> Vec<Letter>) {
        while !self.letters.is_empty() {
            for letter in next(&mut self.letters) {
                self.deliver(letter);
            }
        }
    }

    /// In order, each once.
    pub fn run_plainly(mut self) -> Outcomes<S::Output> {
        self.run(|letters| vec![letters.remove(0)]);
        self.outcomes
    }

    /// Hands one over; to nobody, if its receiver is gone.
    pub fn deliver(&mut self, Letter { from, to, bytes }: Letter) {
        let Some(side) = self.sides.get_mut(&to) else { return };
        match side.receive(Incoming { from, bytes: &bytes }) {
            Ok(progress) => {
                self.letters.extend(posted(to, progress.outgoing));
                if let Some(output) = progress.result {
                    self.outcomes.insert(to, Ok(output));
                    self.sides.remove(&to);
                }
            }
            Err(fault) => {
                self.outcomes.insert(to, Err(fault));
                self.sides.remove(&to);
            }
        }
    }
}

fn posted(from: MemberIndex, outgoing: Vec<Outgoing>) -> Vec<Letter> {
    outgoing
        .into_iter()
        .map(|Outgoing { to, bytes }| Letter { from, to, bytes: bytes.to_vec() })
        .collect()
}

pub fn committee(threshold: u8, members: u8) -> Committee {
    Committee::new(threshold, members).unwrap()
}

pub fn member(index: u8) -> MemberIndex {
    index.try_into().unwrap()
}

pub fn generation(committee: Committee, id: u8) -> Cluster<Ceremony<KeyGeneration>> {
    let begin = |me| (me, KeyGeneration::begin([id; 32], committee, me).unwrap());
    Cluster::of(committee.all().map(begin))
}

pub fn refresh(shares: &[KeyShare], id: u8) -> Cluster<Ceremony<Refresh>> {
    let begin =
        |share: &KeyShare| (share.member(), Refresh::begin([id; 32], share.clone()).unwrap());
    Cluster::of(shares.iter().map(begin))
}

pub fn signing(
    shares: &[KeyShare],
    id: u8,
    transaction: &UnsignedTransaction,
) -> Cluster<Ceremony<Signing>> {
    let signers: Vec<_> = shares.iter().map(KeyShare::member).collect();
    let begin = |share: &KeyShare| {
        (share.member(), Signing::begin([id; 32], share.clone(), &signers, transaction).unwrap())
    };
    Cluster::of(shares.iter().map(begin))
}

/// Everybody's result; no member may have failed.
pub fn all<T>(outcomes: Outcomes<T>) -> Vec<T> {
    outcomes
        .into_values()
        .map(|outcome| outcome.unwrap_or_else(|fault| panic!("{fault:?}")))
        .collect()
}

/// A 2 of 3 key that tests share, as making one takes seconds; stored as this program stores them.
pub fn two_of_three() -> &'static [KeyShare] {
    static SHARES: OnceLock<Vec<KeyShare>> = OnceLock::new();
    let read = |bytes: &&[u8]| KeyShare::from_bytes(bytes).unwrap();
    SHARES.get_or_init(|| STORED.iter().map(read).collect())
}

const STORED: [&[u8]; 3] = [
    include_bytes!("../vectors/share-1-of-3.bin"),
    include_bytes!("../vectors/share-2-of-3.bin"),
    include_bytes!("../vectors/share-3-of-3.bin"),
];

/// Makes the files anew: only where the form of a stored share has changed, with its number.
#[test]
#[ignore = "writes the vectors, with `cargo test -p capstan-signer -- --ignored`"]
fn write_the_stored_shares() {
    let shares = all(generation(committee(2, 3), 1).run_plainly());
    for share in shares {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors");
        let path = format!("{folder}/share-{}-of-3.bin", share.member());
        std::fs::write(path, &*share.to_bytes().unwrap()).unwrap();
    }
}

pub fn transaction(value: u64) -> UnsignedTransaction {
    let eip1559 = alloy_consensus::TxEip1559 {
        chain_id: ChainId(84532).0,
        nonce: 7,
        gas_limit: 21_000,
        max_fee_per_gas: 30,
        max_priority_fee_per_gas: 2,
        to: alloy_primitives::TxKind::Call(alloy_primitives::Address::repeat_byte(0x22)),
        value: U256::from(value),
        ..Default::default()
    };
    eip1559.try_into().unwrap()
}
