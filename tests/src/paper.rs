//! A session on paper: ids, signatures and the transcript tree computed from their specifications
//! (EIP-712, ABI encoding, RFC 6962), sharing no code with the product.

use alloy_primitives::{Address, B256, U256, keccak256};
use capstan_chain::LocalSigner;
use serde_json::{Value, json};

/// Order of secp256k1.
const ORDER: &str = "0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";

/// What a session was opened under, and who signs for it.
#[derive(Clone)]
pub struct Paper {
    /// Chain of the deposit.
    pub chain_id: u64,
    /// Contract of the deposit.
    pub marketplace: Address,
    /// Who serves.
    pub host: Address,
    /// Who paid in, and signs.
    pub renter: LocalSigner,
    /// Payment token; zero is the coin.
    pub token: Address,
    /// Deposit, base units.
    pub deposit: u128,
    /// Unix seconds.
    pub expiry: u64,
    /// Model on chain.
    pub model: B256,
    /// Makes it one of a kind.
    pub salt: B256,
    /// Base units per million tokens, (input, output).
    pub price: (u128, u128),
}

impl Paper {
    /// `keccak256(abi.encode(terms))`: every field is one word.
    pub fn id(&self) -> B256 {
        let number = |value: u128| B256::from(U256::from(value));
        let words = [
            self.host.into_word(),
            self.renter.address().into_word(),
            self.token.into_word(),
            number(self.deposit),
            number(self.expiry.into()),
            self.renter.address().into_word(),
            self.model,
            self.salt,
        ];
        keccak256(words.map(|word| word.0).concat())
    }

    /// The terms as a message carries them.
    pub fn terms(&self) -> Value {
        json!({
            "host": self.host, "renter": self.renter.address(), "token": self.token,
            "deposit": self.deposit.to_string(), "expiry": self.expiry,
            "voucher_key": self.renter.address(), "model": self.model, "salt": self.salt,
        })
    }

    /// Cost of these tokens, rounded up once.
    pub fn cost(&self, input: u64, output: u64) -> u128 {
        let scaled = self.price.0 * u128::from(input) + self.price.1 * u128::from(output);
        scaled.div_ceil(1_000_000)
    }

    /// The domain of every signature of this session.
    pub fn digest(&self, structure: B256) -> B256 {
        let typed =
            "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)";
        let domain = keccak256(
            [
                keccak256(typed).0,
                keccak256("Capstan").0,
                keccak256("1").0,
                B256::from(U256::from(self.chain_id)).0,
                self.marketplace.into_word().0,
            ]
            .concat(),
        );
        keccak256([&[0x19, 0x01], domain.as_slice(), structure.as_slice()].concat())
    }

    /// Answer to a connection's challenge.
    pub fn proof(&self, challenge: B256) -> String {
        let kind = keccak256("Attach(bytes32 sessionId,bytes32 challenge)");
        self.sign(keccak256([kind.0, self.id().0, challenge.0].concat()))
    }

    /// A voucher over this statement, signed with the session's own key.
    pub fn voucher(&self, amount: u128, tokens: u64, root: B256) -> Value {
        let kind = keccak256(
            "Voucher(bytes32 sessionId,uint96 amount,uint64 tokens,bytes32 transcriptRoot)",
        );
        let amount_word = B256::from(U256::from(amount));
        let tokens_word = B256::from(U256::from(tokens));
        let words = [kind.0, self.id().0, amount_word.0, tokens_word.0, root.0];
        json!({
            "session_id": self.id(), "amount": amount.to_string(), "tokens": tokens,
            "transcript_root": root, "signature": self.sign(keccak256(words.concat())),
        })
    }

    fn sign(&self, structure: B256) -> String {
        let signature = self.renter.sign_digest_65(self.digest(structure)).expect("a signature");
        signature.0.to_string()
    }
}

/// The malleable twin of a signature: `s` negated, `v` flipped.
pub fn high_s(signature: &str) -> String {
    let bytes: alloy_primitives::Bytes = signature.parse().expect("hex");
    let order: U256 = ORDER.parse().expect("a number");
    let s = order - U256::from_be_slice(&bytes[32..64]);
    let v = 27 + 28 - bytes[64];
    let twin = [&bytes[..32], &s.to_be_bytes::<32>()[..], &[v]].concat();
    alloy_primitives::Bytes::from(twin).to_string()
}

/// Everything a session billed, as leaves of its transcript.
#[derive(Clone, Debug, Default)]
pub struct Count {
    /// Prompt tokens.
    pub input: u64,
    /// Generated tokens.
    pub output: u64,
    leaves: Vec<B256>,
}

impl Count {
    /// One prompt token.
    pub fn input(&mut self, id: u32, text: &[u8]) {
        self.leaf(id, text);
        self.input += 1;
    }

    /// One generated token.
    pub fn output(&mut self, id: u32, text: &[u8]) {
        self.leaf(id, text);
        self.output += 1;
    }

    fn leaf(&mut self, id: u32, text: &[u8]) {
        let (index, id) = (self.tokens().to_be_bytes(), id.to_be_bytes());
        self.leaves.push(keccak256([&[0], &index[..], &id[..], text].concat()));
    }

    /// All tokens.
    pub fn tokens(&self) -> u64 {
        u64::try_from(self.leaves.len()).expect("a count")
    }

    /// Root over all of them, as RFC 6962 defines it.
    pub fn root(&self) -> B256 {
        root(&self.leaves)
    }

    /// Roots of the perfect subtrees, largest first, one for each set bit of the size.
    pub fn peaks(&self) -> Vec<B256> {
        let (mut rest, mut peaks) = (&self.leaves[..], Vec::new());
        while !rest.is_empty() {
            let (tree, others) = rest.split_at(1 << rest.len().ilog2());
            peaks.push(root(tree));
            rest = others;
        }
        peaks
    }

    /// Root over the first so many.
    pub fn root_at(&self, tokens: usize) -> B256 {
        root(&self.leaves[..tokens])
    }
}

fn root(leaves: &[B256]) -> B256 {
    match leaves {
        [] => B256::ZERO,
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            keccak256([&[1], root(left).as_slice(), root(right).as_slice()].concat())
        }
    }
}
