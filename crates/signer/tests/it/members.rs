//! Members with policies and journals, and coordinators that lie to them.

use std::collections::BTreeMap;
use std::path::Path;

use alloy_primitives::{Address, Bytes, Signature};
use capstan_base::action::ActionFees;
use capstan_base::{AgentOutput, ApprovedOutput, ChainId, Signature65, U256, UnixSeconds};
use capstan_signer::member::{Declined, Member, Registry};
use capstan_signer::policy;
use capstan_signer::protocol::{Blame, ChildPath, Fault};
use capstan_signer::request::SignRequest;
use capstan_store::SigningJournal;
use k256::ecdsa::SigningKey;

use crate::cluster::{Cluster, all, member, two_of_three};

const REGISTRY: Registry =
    Registry { chain_id: ChainId(84532), address: Address::repeat_byte(0xa9) };
const TO: &str = "0x2222222222222222222222222222222222222222";

fn approver() -> SigningKey {
    SigningKey::from_slice(&[7; 32]).unwrap()
}

pub fn agent() -> U256 {
    let child = two_of_three()[0].child(&ChildPath::new([0, 7])).unwrap();
    U256::from_be_slice(child.address().as_slice())
}

/// Member number `index` with a journal in `folder`, new or as it was.
pub fn start(index: u8, folder: &Path) -> Member {
    let policy = format!(
        r#"
        [agents."{agent:#x}"]
        path = [0, 7]
        approvers = ["{approver}"]
        quorum = 1
        requests_per_hour = 3
        [agents."{agent:#x}".chains.84532]
        max_value = "1000"
        max_value_per_day = "1500"
        max_gas_cost = "2100000"
        recipients."{TO}" = ["plain"]
        "#,
        agent = agent(),
        approver = Address::from_public_key(approver().verifying_key()),
    );
    let path = folder.join(format!("journal-{index}.db"));
    let journal =
        if path.exists() { SigningJournal::open(&path) } else { SigningJournal::create(&path) };
    let share = two_of_three().iter().find(|share| share.member() == member(index)).unwrap();
    let shares = BTreeMap::from([(1, share.clone())]);
    Member::new(REGISTRY, policy::parse(&policy).unwrap(), journal.unwrap(), shares)
}

fn approved(request_id: u64, actions: &str) -> ApprovedOutput {
    let output = AgentOutput {
        request_id: U256::from(request_id),
        agent_id: agent(),
        data: format!(r#"{{"actions":[{actions}]}}"#).into_bytes().into(),
        executions: 1,
        consensus_round: 1,
    };
    let digest = output.digest(REGISTRY.chain_id, REGISTRY.address);
    let signature = approver().sign_prehash_recoverable(digest.as_slice()).unwrap();
    let approvals = vec![Signature65::from(Signature::from(signature))];
    ApprovedOutput { output, approvals }
}

fn action(value: u64) -> String {
    format!(r#"{{"action_type":"transaction","chain_id":84532,"to":"{TO}","value":{value}}}"#)
}

pub fn request(request_id: u64, value: u64) -> SignRequest {
    SignRequest {
        output: approved(request_id, &action(value)),
        action: 0,
        nonce: 5,
        fees: ActionFees::Eip1559 { max_fee: 50, priority_fee: 1 },
        epoch: 1,
        attempt: 0,
        signers: vec![member(1), member(2)],
    }
}

pub fn now() -> UnixSeconds {
    UnixSeconds::new(1_000_000).unwrap()
}

fn declined(member: &Member, request: &SignRequest) -> String {
    member.begin(request, now()).unwrap_err().to_string()
}

#[test]
fn two_members_that_agree_sign_the_agents_transaction() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (start(1, folder.path()), start(2, folder.path()));
    let request = request(1, 1000);
    let begun = [one.begin(&request, now()).unwrap(), two.begin(&request, now()).unwrap()];
    assert_eq!(begun[0].id, begun[1].id);
    let transaction = begun[0].derived.transaction.clone();
    let sides = begun
        .into_iter()
        .zip(1..)
        .map(|(begun, index)| (member(index), (begun.ceremony, begun.outgoing)));
    let signatures = all(Cluster::of(sides).run_plainly());
    let address = Address::from_word(agent().into());
    let signed = transaction.finalize(&signatures[0], address).unwrap();
    assert_eq!(
        signed,
        request.derive().unwrap().transaction.finalize(&signatures[1], address).unwrap()
    );
}

#[test]
fn one_request_is_signed_for_one_transaction_whatever_the_coordinator_says() {
    let folder = tempfile::tempdir().unwrap();
    let one = start(1, folder.path());
    let first = request(1, 500);
    one.begin(&first, now()).unwrap();
    // Tried again, at another price, with others: still the same call.
    let again = SignRequest { attempt: 1, signers: vec![member(3), member(1)], ..first.clone() };
    let dearer =
        SignRequest { fees: ActionFees::Eip1559 { max_fee: 60, priority_fee: 2 }, ..first.clone() };
    let ids: Vec<_> = [&again, &dearer]
        .map(|request| one.begin(request, now()).unwrap().id)
        .into_iter()
        .collect();
    assert_ne!(ids[0], ids[1]);

    let never = "is never signed for a second";
    let other_nonce = SignRequest { nonce: 6, ..first.clone() };
    assert!(declined(&one, &other_nonce).contains(never));
    // Another output under the same id, approved as it may be.
    assert!(declined(&one, &request(1, 501)).contains(never));
    drop(one);
    let one = start(1, folder.path());
    assert!(declined(&one, &other_nonce).contains(never));
    assert!(one.begin(&first, now()).is_ok());
}

#[test]
fn nothing_that_nobody_approved_is_signed() {
    let folder = tempfile::tempdir().unwrap();
    let one = start(1, folder.path());
    let mut raised = request(1, 500);
    raised.output.output.data = request(1, 900).output.output.data;
    assert!(declined(&one, &raised).contains("0 of 1 approvals"));
    let mut renamed = request(1, 500);
    renamed.output.output.request_id = U256::from(2);
    assert!(declined(&one, &renamed).contains("0 of 1 approvals"));
    let mut bare = request(1, 500);
    bare.output.approvals.clear();
    assert!(declined(&one, &bare).contains("0 of 1 approvals"));
    // None of that used the request up.
    assert!(one.begin(&request(1, 500), now()).is_ok());
}

#[test]
fn the_members_own_limits_hold_over_requests_and_replacements() {
    let folder = tempfile::tempdir().unwrap();
    let one = start(1, folder.path());
    let dear = SignRequest {
        fees: ActionFees::Eip1559 { max_fee: 101, priority_fee: 1 },
        ..request(1, 1)
    };
    assert!(declined(&one, &dear).contains("gas could cost more"));
    one.begin(&request(1, 1000), now()).unwrap();
    let replacement = SignRequest { fees: dear.fees, ..request(1, 1000) };
    assert!(declined(&one, &replacement).contains("gas could cost more"));
    assert!(declined(&one, &request(2, 501)).contains("within 24 hours"));
    one.begin(&request(2, 500), now()).unwrap();
    one.begin(&request(3, 0), now()).unwrap();
    assert!(declined(&one, &request(4, 0)).contains("3 requests within the hour"));
    // What is begun may be tried again all the same.
    one.begin(&SignRequest { attempt: 1, ..request(3, 0) }, now()).unwrap();
}

#[test]
fn a_request_that_asks_for_nothing_is_declined() {
    let folder = tempfile::tempdir().unwrap();
    let one = start(1, folder.path());
    assert!(
        declined(&one, &SignRequest { action: 1, ..request(1, 1) }).contains("has no action 1")
    );
    let legacy = SignRequest { fees: ActionFees::Legacy { gas_price: 1 }, ..request(1, 1) };
    assert!(declined(&one, &legacy).contains("another kind"));
    assert!(declined(&one, &SignRequest { epoch: 2, ..request(1, 1) }).contains("epoch 2"));
    assert!(
        declined(&one, &SignRequest { signers: vec![member(2), member(3)], ..request(1, 1) })
            .contains("not among the signers")
    );
    let mut bad = request(1, 1);
    bad.output.output.data = Bytes::from_static(b"{}");
    assert!(declined(&one, &bad).contains("no list `actions`"));
    let mut no_signature = request(1, 1);
    no_signature.output.approvals = vec![Signature65(Bytes::from_static(b"x"))];
    assert!(matches!(one.begin(&no_signature, now()), Err(Declined::Approval(_))));
}

#[test]
fn a_banned_member_is_banned_after_a_restart_too() {
    let folder = tempfile::tempdir().unwrap();
    let one = start(1, folder.path());
    let fault = |blame| Fault { blame, reason: "failed a consistency check".to_owned() };
    one.note(&fault(Blame::Member(member(3))), now()).unwrap();
    one.note(&fault(Blame::Ban(member(2))), now()).unwrap();
    drop(one);
    let one = start(1, folder.path());
    let said = declined(&one, &request(1, 1));
    assert_eq!(said, "member 2 is banned: failed a consistency check");
    let others = SignRequest { signers: vec![member(1), member(3)], ..request(1, 1) };
    assert!(one.begin(&others, now()).is_ok());
}
