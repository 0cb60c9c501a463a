//! Values the tests share.

use capstan_base::{
    Address, Amount, B256, ChainId, Frontier, ModelId, Price, Receipt, SessionId, SessionKey,
    SessionTerms, Signature65, SignedReceipt, SignedVoucher, TallyState, U256, UnixSeconds,
    Voucher,
};
use capstan_store::{
    EngineStore, Fence, Inclusion, IntentId, LaneKey, NewAttempt, NewIntent, NewRental, NewSession,
    Signed,
};

pub(crate) const CHAIN: ChainId = ChainId(84532);
pub(crate) const SENDER: Address = Address::repeat_byte(0xaa);
pub(crate) const LANE: LaneKey = LaneKey { chain_id: CHAIN, sender: SENDER };

pub(crate) fn intent(key: &str) -> NewIntent {
    NewIntent {
        idempotency_key: key.to_owned(),
        chain_id: CHAIN,
        sender: SENDER,
        to: Address::repeat_byte(0xbb),
        value: U256::MAX,
        data: vec![1, 2, 3].into(),
        gas_limit: Some(90_000),
        max_cost: Some(U256::from(1u64) << 80),
        worth: Some(U256::from(3)),
        repeat_safe: true,
        not_before: Some(at(5)),
        deadline: None,
        own_code: Some(Address::repeat_byte(0xcc)),
        label: "settle".to_owned(),
    }
}

pub(crate) fn attempt(intents: &[IntentId], nonce: u64, salt: u8) -> NewAttempt {
    NewAttempt {
        intents: intents.to_vec(),
        nonce,
        signed: Signed {
            tx_hash: B256::repeat_byte(salt),
            raw: vec![2, salt].into(),
            voids: false,
            gas_limit: 100_000,
            max_fee: u128::MAX,
            priority_fee: Some(1),
            rollup_fee: U256::from(7),
            signed_at: at(9),
        },
    }
}

/// The right to write for the lane of these samples.
pub(crate) async fn fence(store: &dyn EngineStore) -> Fence {
    let lease = core::time::Duration::from_secs(60);
    store.acquire_lane(LANE, "engine", lease).await.unwrap().unwrap()
}

pub(crate) fn inclusion(tx: u8, block: u64) -> Inclusion {
    Inclusion {
        tx_hash: B256::repeat_byte(tx),
        block_number: block,
        block_hash: B256::repeat_byte(0x77),
        gas_used: 21_000,
        effective_gas_price: 7,
        rollup_fee: 5,
        success: true,
    }
}

pub(crate) fn at(seconds: u64) -> UnixSeconds {
    UnixSeconds::new(seconds).unwrap()
}

pub(crate) fn amount(units: u128) -> Amount {
    Amount::new(units).unwrap()
}

pub(crate) fn terms(salt: u8) -> SessionTerms {
    SessionTerms {
        host: SENDER,
        renter: Address::repeat_byte(0xcc),
        token: Address::ZERO,
        deposit: Amount::MAX,
        expiry: UnixSeconds::MAX,
        voucher_key: Address::repeat_byte(0xdd),
        model: ModelId(B256::repeat_byte(1)),
        salt: B256::repeat_byte(salt),
    }
}

pub(crate) fn key(salt: u8) -> SessionKey {
    SessionKey {
        chain_id: CHAIN,
        marketplace: Address::repeat_byte(0xee),
        session_id: terms(salt).id(),
    }
}

pub(crate) fn price() -> Price {
    Price { input: amount(3), output: amount(5) }
}

pub(crate) fn session(salt: u8) -> NewSession {
    NewSession {
        key: key(salt),
        terms: terms(salt),
        price: price(),
        opened_at: at(100),
        admitted_block: 7,
    }
}

pub(crate) fn rental(salt: u8) -> NewRental {
    NewRental {
        key: key(salt),
        terms: terms(salt),
        host_url: "http://127.0.0.1:1".to_owned(),
        price: price(),
    }
}

pub(crate) fn voucher(session: SessionId, units: u128, tokens: u64) -> SignedVoucher {
    SignedVoucher {
        voucher: Voucher {
            session_id: session,
            amount: amount(units),
            tokens,
            transcript_root: B256::repeat_byte(9),
        },
        signature: Signature65(vec![1; 65].into()),
    }
}

pub(crate) fn tally(tokens: u64) -> TallyState {
    let peaks = vec![B256::repeat_byte(3); usize::try_from(tokens.count_ones()).unwrap()];
    TallyState { input: tokens, output: 0, frontier: Frontier { size: tokens, peaks } }
}

pub(crate) fn receipt(session: SessionId, units: u128, tokens: u64, last: bool) -> SignedReceipt {
    let SignedVoucher { voucher, signature } = voucher(session, units, tokens);
    SignedReceipt { receipt: Receipt { last, ..Receipt::of(&voucher) }, signature }
}
