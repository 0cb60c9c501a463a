//! Ids and digests against Foundry's `cast` 1.7.1, which shares no code with this crate's callers.
//!
//! ```text
//! T='f((address,address,address,uint96,uint40,address,bytes32,bytes32))'
//! cast keccak $(cast abi-encode "$T" "(host,renter,token,deposit,expiry,voucherKey,model,salt)")
//! DOMAIN=$(cast keccak $(cast abi-encode 'f(bytes32,bytes32,bytes32,uint256,address)' \
//!   $(cast keccak 'EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)') \
//!   $(cast keccak Capstan) $(cast keccak 1) 84532 0x5FbDB2315678afecb367f032d93F642f64180aa3))
//! STRUCT=$(cast keccak $(cast abi-encode 'f(bytes32,bytes32,uint96,uint64,bytes32)' \
//!   $(cast keccak 'Voucher(bytes32 sessionId,uint96 amount,uint64 tokens,bytes32 transcriptRoot)') \
//!   $SESSION 1234567 3 $ROOT))
//! cast keccak 0x1901${DOMAIN#0x}${STRUCT#0x}
//! cast wallet sign --no-hash --private-key $KEY $DIGEST    # the same as --data of the typed data
//! ```
//!
//! `KEY` is the first of anvil's well-known accounts.

use alloy_primitives::{Address, B256, address, b256, hex};
use capstan_base::transcript::leaf_hash;
use capstan_base::{
    Amount, AttachChallenge, ChainId, ModelId, Receipt, SessionId, SessionKey, SessionTerms,
    Signature65, SignedVoucher, Transcript, UnixSeconds, Voucher,
};

pub const SIGNER: Address = address!("f39Fd6e51aad88F6F4ce6aB8827279cffFb92266");
pub const KEY: SessionKey = SessionKey {
    chain_id: ChainId(84532),
    marketplace: address!("5FbDB2315678afecb367f032d93F642f64180aa3"),
    session_id: SessionId(b256!(
        "708ef28e6355aed9a49a1b0514023cdb1685763e90b5a255b2ec0b5559be8e03"
    )),
};
const ROOT: B256 = b256!("77e895179605a5bef6356bdef20fd88f5d84923f6ee0c62d4a984fbffc3815eb");

fn amount(units: u128) -> Amount {
    Amount::new(units).unwrap()
}

pub fn signed() -> SignedVoucher {
    let voucher = Voucher {
        session_id: KEY.session_id,
        amount: amount(1_234_567),
        tokens: 3,
        transcript_root: ROOT,
    };
    let signature = Signature65(
        hex!(
            "43bfb9a4495f6ced80196f321a2d398e9e3b72ed338c3a0604f8482b16669fb6"
            "35dec002316ba548355b5999d80d81d1214cfc96781ade4f7cd11464ba82e296" "1b"
        )
        .into(),
    );
    SignedVoucher { voucher, signature }
}

#[test]
fn a_session_id_is_the_hash_of_its_encoded_terms() {
    let widest = SessionTerms {
        host: Address::repeat_byte(0x11),
        renter: Address::repeat_byte(0x22),
        token: Address::repeat_byte(0x33),
        deposit: Amount::MAX,
        expiry: UnixSeconds::MAX,
        voucher_key: Address::repeat_byte(0x44),
        model: ModelId(B256::repeat_byte(0x55)),
        salt: B256::repeat_byte(0x66),
    };
    let id = b256!("a8f441f44acbcc1ff5f4beaba9202128e5060f3f87bc186db88bd185a2030ba2");
    assert_eq!(widest.id(), SessionId(id));
    let plain = SessionTerms {
        host: address!("70997970C51812dc3A010C7d01b50e0d17dc79C8"),
        renter: SIGNER,
        token: Address::ZERO,
        deposit: amount(1_000_000_000_000_000),
        expiry: UnixSeconds::new(1_800_000_000).unwrap(),
        voucher_key: SIGNER,
        model: ModelId(B256::repeat_byte(0xab)),
        salt: B256::repeat_byte(0x01),
    };
    assert_eq!(plain.id(), KEY.session_id);
}

#[test]
fn a_transcript_of_three_tokens_has_the_root_that_cast_computes() {
    let mut transcript = Transcript::new();
    let leaf = transcript.push(5, b"Hi");
    transcript.push(9, b"!");
    transcript.push(7, " 🦊".as_bytes());
    assert_eq!(leaf, leaf_hash(0, 5, b"Hi"));
    let first = b256!("727a5daeecbce5c3c319e360dc11576b68fe4e58fdca48278fce5320ddd9a774");
    assert_eq!(leaf, first);
    assert_eq!(transcript.root(), ROOT);
}

#[test]
fn a_voucher_signed_by_cast_is_accepted() {
    let signed = signed();
    let digest = signed.voucher.digest(KEY.chain_id, KEY.marketplace);
    let expected = b256!("f6ce3672119c9542c1b506a5d0854d41104c6b709c2091f512a4ed5c2a3c6b57");
    assert_eq!(digest, expected);
    assert_eq!(signed.verify(&KEY, SIGNER), Ok(()));
}

#[test]
fn a_ceiling_has_no_tokens_and_no_root() {
    let ceiling = Voucher::ceiling(KEY.session_id, amount(500_000));
    assert!(ceiling.is_ceiling());
    let expected = b256!("a3563d8397927589d4c6fd33a2cd8960c7130cc3f6e2afbed9587489a8e735e8");
    assert_eq!(ceiling.digest(KEY.chain_id, KEY.marketplace), expected);
}

#[test]
fn an_attach_proof_signed_by_cast_is_accepted() {
    let challenge = AttachChallenge(B256::repeat_byte(0x77));
    let digest = challenge.digest(KEY.chain_id, KEY.marketplace, KEY.session_id);
    let expected = b256!("b37e4b977acd6199b638e8848504a7d636f9be1dddb25cbf6326c12eedc5b8e8");
    assert_eq!(digest, expected);
    let proof = Signature65(
        hex!(
            "2991746f187df0afd99994b46031072596cf7a65afad3c540d5170badd949d02"
            "7e981fb8904beb7bed1b0a1212d1b1b3558ca0ca3810ab38f12274efa4788bdc" "1b"
        )
        .into(),
    );
    assert_eq!(proof.verify(digest, SIGNER), Ok(()));
}

/// The same receipt has the same digest in contracts/test/HostSlashingEquivocation.t.sol.
#[test]
fn a_receipt_has_the_digest_that_the_contract_computes() {
    let receipt = Receipt {
        session_id: SessionId(B256::repeat_byte(0x11)),
        amount: amount(123_456_789),
        tokens: 4321,
        transcript_root: B256::repeat_byte(0x33),
        last: true,
    };
    let marketplace = Address::repeat_byte(0x22);
    let expected = b256!("ac67b7ec9a2570e5a5d23bbbe4d3a4c71edcbeef56c49c06037ceb34b80b4bc4");
    assert_eq!(receipt.digest(ChainId(84532), marketplace), expected);
    let expected = b256!("4e51bcceaaadc1dcd9b4cb54c0a4a434cb1fe9ef22ba70c9f3111659b9cb774a");
    let running = Receipt { last: false, ..receipt };
    assert_eq!(running.digest(ChainId(84532), marketplace), expected);
}
