//! Models, keys and prices that the tests share.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use capstan_base::{Address, Amount, B256, ChainId, Price, SessionId, SessionKey};
use capstan_base::{Signature65, SignedVoucher, Voucher};
use capstan_chain::LocalSigner;
use capstan_model::Model;

/// The tiny model, loaded once.
pub fn tiny() -> Arc<Model> {
    static MODEL: OnceLock<Arc<Model>> = OnceLock::new();
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../models/capstan-tiny.gguf");
    Arc::clone(MODEL.get_or_init(|| Arc::new(Model::load(path).unwrap())))
}

pub fn units(units: u128) -> Amount {
    Amount::new(units).unwrap()
}

/// So many base units per token.
pub fn per_token(input: u128, output: u128) -> Price {
    Price { input: units(input * 1_000_000), output: units(output * 1_000_000) }
}

pub fn session_key(number: u8) -> SessionKey {
    SessionKey {
        chain_id: ChainId(84532),
        marketplace: Address::repeat_byte(0x0a),
        session_id: SessionId(B256::repeat_byte(number)),
    }
}

/// A voucher as the key signs it.
pub fn sign(signer: &LocalSigner, key: &SessionKey, voucher: Voucher) -> SignedVoucher {
    let digest = voucher.digest(key.chain_id, key.marketplace);
    SignedVoucher { voucher, signature: signer.sign_digest_65(digest).unwrap() }
}

/// A voucher whose signature nobody looks at.
pub fn unsigned(voucher: Voucher) -> SignedVoucher {
    SignedVoucher { voucher, signature: Signature65(vec![0; 65].into()) }
}
