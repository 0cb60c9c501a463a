//! Values of every message, drawn at random.

use capstan_base::tally::TallyState;
use capstan_base::{
    Address, Amount, B256, ChainId, Frontier, ModelId, Price, Receipt, SessionId, SessionTerms,
    Signature65, SignedReceipt, SignedVoucher, UnixSeconds, Voucher,
};
use capstan_wire::error::{PaymentChain, PaymentNeeded, PaymentSession};
use capstan_wire::openai::{Message, Prompt};
use capstan_wire::session::{
    Chunk, EndReason, FinishReason, FromHost, FromRenter, Hello, NewestVoucher, PromptMessage,
    SessionInit, SessionReady,
};
use capstan_wire::{ApiError, ErrorCode};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

pub fn amount() -> impl Strategy<Value = Amount> {
    any::<u128>().prop_map(|units| Amount::new(units & Amount::MAX.base_units()).unwrap())
}

pub fn hash() -> impl Strategy<Value = B256> {
    any::<[u8; 32]>().prop_map(B256::from)
}

pub fn address() -> impl Strategy<Value = Address> {
    any::<[u8; 20]>().prop_map(Address::from)
}

pub fn price() -> impl Strategy<Value = Price> {
    (amount(), amount()).prop_map(|(input, output)| Price { input, output })
}

pub fn terms() -> impl Strategy<Value = SessionTerms> {
    let parties = (address(), address(), address(), address());
    (parties, amount(), 0..1_u64 << 40, hash(), hash()).prop_map(
        |((host, renter, token, voucher_key), deposit, expiry, model, salt)| SessionTerms {
            host,
            renter,
            token,
            deposit,
            expiry: UnixSeconds::new(expiry).unwrap(),
            voucher_key,
            model: ModelId(model),
            salt,
        },
    )
}

pub fn signature() -> impl Strategy<Value = Signature65> {
    vec(any::<u8>(), 65).prop_map(|bytes| Signature65(bytes.into()))
}

pub fn voucher() -> impl Strategy<Value = SignedVoucher> {
    (hash(), amount(), any::<u64>(), hash(), signature()).prop_map(
        |(session, amount, tokens, transcript_root, signature)| SignedVoucher {
            voucher: Voucher { session_id: SessionId(session), amount, tokens, transcript_root },
            signature,
        },
    )
}

fn receipt() -> impl Strategy<Value = SignedReceipt> {
    (voucher(), any::<bool>()).prop_map(|(SignedVoucher { voucher, signature }, last)| {
        SignedReceipt { receipt: Receipt { last, ..Receipt::of(&voucher) }, signature }
    })
}

fn tally() -> impl Strategy<Value = TallyState> {
    (any::<u64>(), any::<u64>(), any::<u64>(), vec(hash(), 0..9)).prop_map(
        |(input, output, size, peaks)| TallyState {
            input,
            output,
            frontier: Frontier { size, peaks },
        },
    )
}

fn text() -> impl Strategy<Value = String> {
    "\\PC{0,24}"
}

fn prompt() -> impl Strategy<Value = PromptMessage> {
    let message = (text(), text()).prop_map(|(role, content)| Message { role, content });
    let prompt = prop_oneof![
        vec(message, 0..4).prop_map(Prompt::Messages),
        text().prop_map(Prompt::Text),
        vec(any::<u32>(), 0..9).prop_map(Prompt::Ids),
    ];
    let numbers = (any::<u64>(), option::of(any::<u64>()), any::<u64>());
    (numbers, prompt, 0.0..2.0, 0.1..1.0, vec(text(), 0..5)).prop_map(
        |((request_id, max_tokens, seed), prompt, temperature, top_p, stop)| PromptMessage {
            request_id,
            prompt,
            max_tokens,
            temperature,
            top_p,
            seed,
            stop,
        },
    )
}

pub fn from_renter() -> impl Strategy<Value = FromRenter> {
    let newest = (voucher(), tally()).prop_map(|(voucher, tally)| NewestVoucher { voucher, tally });
    let init = (any::<u64>(), terms(), signature(), price(), option::of(newest), any::<u64>())
        .prop_map(|(chain, terms, proof, price, newest, have)| SessionInit {
            chain_id: ChainId(chain),
            terms,
            proof,
            price,
            newest,
            have,
        });
    prop_oneof![
        init.prop_map(|init| FromRenter::SessionInit(Box::new(init))),
        prompt().prop_map(FromRenter::Prompt),
        voucher().prop_map(FromRenter::Voucher),
        any::<u64>().prop_map(|request_id| FromRenter::Cancel { request_id }),
        Just(FromRenter::End),
        Just(FromRenter::Ping),
    ]
}

fn error() -> impl Strategy<Value = ApiError> {
    let session = (price(), amount(), amount(), amount())
        .prop_map(|(price, owed, signed, needed)| PaymentSession { price, owed, signed, needed });
    let chain = (any::<u64>(), address())
        .prop_map(|(id, marketplace)| PaymentChain { chain_id: ChainId(id), marketplace });
    let payment = (address(), vec(chain, 0..3), option::of(session))
        .prop_map(|(host, chains, session)| Box::new(PaymentNeeded { host, chains, session }));
    (select(ErrorCode::ALL), text(), option::of(text()), option::of(payment))
        .prop_map(|(code, message, param, payment)| ApiError { code, message, param, payment })
}

pub const FINISHES: &[FinishReason] = &[
    FinishReason::Stop,
    FinishReason::Length,
    FinishReason::Cancelled,
    FinishReason::DepositExhausted,
];

pub const ENDS: &[EndReason] = &[
    EndReason::End,
    EndReason::Disconnect,
    EndReason::Idle,
    EndReason::Exhausted,
    EndReason::Expired,
    EndReason::HostRestart,
    EndReason::HostShutdown,
    EndReason::ClosedOnChain,
];

pub fn from_host() -> impl Strategy<Value = FromHost> {
    let hello = (address(), hash(), any::<u64>()).prop_map(|(host, challenge, window)| Hello {
        host,
        challenge,
        window,
        max_frame_bytes: 1 << 20,
    });
    let ready = (any::<u64>(), hash(), any::<u64>(), any::<bool>(), option::of(any::<u64>()))
        .prop_map(|(chain, session, tokens, resumed, running)| SessionReady {
            chain_id: ChainId(chain),
            session_id: SessionId(session),
            tokens,
            resumed,
            running,
        });
    let chunk = (any::<u64>(), any::<u64>(), vec(any::<u32>(), 0..5), text(), vec(-9.0..0.0, 0..5))
        .prop_map(|(request_id, index, ids, text, logprobs)| Chunk {
            request_id,
            index,
            ids,
            text,
            logprobs,
        });
    let three = (any::<u64>(), any::<u64>(), any::<u64>());
    let paid = || (amount(), any::<u64>(), hash());
    prop_oneof![
        hello.prop_map(FromHost::Hello),
        ready.prop_map(FromHost::SessionReady),
        three.prop_map(|(request_id, index, input_tokens)| FromHost::PromptAccepted {
            request_id,
            index,
            input_tokens
        }),
        chunk.prop_map(FromHost::Chunk),
        paid().prop_map(|(amount, tokens, transcript_root)| FromHost::VoucherRequest {
            amount,
            tokens,
            transcript_root
        }),
        (paid(), option::of(receipt())).prop_map(|((amount, tokens, _), receipt)| {
            FromHost::VoucherAccepted { amount, tokens, receipt }
        }),
        (three, select(FINISHES)).prop_map(
            |((request_id, input_tokens, output_tokens), reason)| FromHost::Finished {
                request_id,
                reason,
                input_tokens,
                output_tokens
            }
        ),
        (select(ENDS), option::of(receipt()))
            .prop_map(|(reason, receipt)| FromHost::Ended { reason, receipt }),
        (error(), option::of(any::<u64>()), any::<bool>())
            .prop_map(|(error, request_id, fatal)| FromHost::Error { error, request_id, fatal }),
        Just(FromHost::Pong),
    ]
}
