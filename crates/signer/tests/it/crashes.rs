//! Committees whose members are killed at any message, under coordinators that may lie: whatever happens,
//! no request is ever signed for two transactions, and no signature is wrong.
//!
//! `CAPSTAN_SIGNER_RUNS` says how many runs there are; each is repeated by its number alone.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use alloy_primitives::Address;
use capstan_base::B256;
use capstan_base::action::ActionFees;
use capstan_signer::member::{Begun, Member};
use capstan_signer::protocol::MemberIndex;
use capstan_signer::request::SignRequest;

use crate::cluster::{Cluster, member};
use crate::members::{agent, now, request, start};

const RUNS: u64 = 48;

/// What is under way and what came of it.
struct World<'a> {
    folder: &'a Path,
    members: BTreeMap<MemberIndex, Member>,
    random: fastrand::Rng,
    /// Calls that a valid signature is known for.
    signed: BTreeSet<B256>,
}

impl World<'_> {
    fn new(folder: &Path, run: u64) -> World<'_> {
        let members = (1..=3).map(|index| (member(index), start(index, folder))).collect();
        World { folder, members, random: fastrand::Rng::with_seed(run), signed: BTreeSet::new() }
    }

    fn restart(&mut self, index: MemberIndex) {
        // The old one has to be gone: one process has a journal at a time.
        self.members.remove(&index);
        self.members.insert(index, start(index.get(), self.folder));
    }

    fn two_signers(&mut self) -> Vec<MemberIndex> {
        let idle = self.random.u8(1..=3);
        (1..=3).filter(|index| *index != idle).map(member).collect()
    }

    /// One attempt; true if somebody has a signature. A member may be killed before any message.
    fn attempt(&mut self, request: &SignRequest, kill: bool) -> bool {
        let mut begun: BTreeMap<MemberIndex, Begun> = BTreeMap::new();
        for signer in &request.signers {
            match self.members[signer].begin(request, now()) {
                Ok(side) => drop(begun.insert(*signer, side)),
                Err(declined) => {
                    assert!(declined.to_string().contains("is never signed"), "{declined}")
                }
            }
        }
        let Some(derived) = begun.values().next().map(|begun| begun.derived.clone()) else {
            return false;
        };
        let sides =
            begun.into_iter().map(|(index, begun)| (index, (begun.ceremony, begun.outgoing)));
        let mut cluster = Cluster::of(sides);
        let mut messages_left = kill.then(|| self.random.usize(0..=6));
        while !cluster.letters.is_empty() {
            if messages_left == Some(0) {
                let victim = request.signers[self.random.usize(0..request.signers.len())];
                cluster.sides.remove(&victim);
                self.restart(victim);
            }
            messages_left = messages_left.and_then(|left| left.checked_sub(1));
            let next = self.random.usize(0..cluster.letters.len());
            let letter = cluster.letters.remove(next);
            cluster.deliver(letter);
        }
        let mut somebody = false;
        for outcome in cluster.outcomes.into_values() {
            let signature = outcome.unwrap();
            let address = Address::from_word(agent().into());
            derived.transaction.finalize(&signature, address).expect("a wrong signature");
            self.signed.insert(derived.call);
            somebody = true;
        }
        somebody
    }

    /// The request once more, as an honest or a lying coordinator puts it.
    fn asked(&mut self, attempt: u32, lies: bool) -> SignRequest {
        let max_fee = 50 + u128::from(self.random.u8(0..3));
        let nonce = if lies { u64::from(self.random.u8(5..8)) } else { 5 };
        let fees = ActionFees::Eip1559 { max_fee, priority_fee: 1 };
        SignRequest { attempt, nonce, fees, signers: self.two_signers(), ..request(1, 500) }
    }
}

#[test]
fn nothing_is_signed_twice_whoever_dies_and_whoever_lies() {
    let runs = std::env::var("CAPSTAN_SIGNER_RUNS").map_or(RUNS, |runs| runs.parse().unwrap());
    let mut finished = 0;
    for run in 0..runs {
        let folder = tempfile::tempdir().unwrap();
        let mut world = World::new(folder.path(), run);
        let lies = run % 2 == 1;
        for attempt in 0..4 {
            let request = world.asked(attempt, lies);
            world.attempt(&request, true);
            assert!(world.signed.len() <= 1, "run {run}: one request, two transactions");
        }
        // A liar can make members record different calls, and then nothing is signed: it delays.
        let request = world.asked(4, false);
        let done = world.attempt(&request, false);
        assert!(world.signed.len() <= 1, "run {run}: one request, two transactions");
        assert!(lies || done, "run {run}: an honest coordinator got no signature in the end");
        finished += u64::from(done);
    }
    // The test would mean little if liars were never answered.
    assert!(finished > runs / 2);
}
