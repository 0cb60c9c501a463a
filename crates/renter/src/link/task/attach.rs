//! Coming in: the host's challenge, the proof, and where the transcript goes on.

use capstan_base::AttachChallenge;
use capstan_wire::ErrorCode;
use capstan_wire::session::{FromHost, FromRenter, NewestVoucher, SessionInit};

use super::{Leave, Over, Task};
use crate::link::socket::{Broken, Socket};

impl Task {
    /// Hello, proof, `session_init`, ready. Returns the request that still runs at the host.
    pub(super) async fn attach(&mut self, socket: &mut Socket) -> Result<Option<u64>, Leave> {
        let hello = loop {
            if let FromHost::Hello(hello) = socket.receive().await? {
                break hello;
            }
        };
        let key = self.context.key;
        let digest =
            AttachChallenge(hello.challenge).digest(key.chain_id, key.marketplace, key.session_id);
        let proof = self
            .context
            .signer
            .sign_digest_65(digest)
            .map_err(|error| Leave::Over(Over::Lost(error.to_string())))?;
        let newest =
            self.context.newest.clone().map(|(voucher, tally)| NewestVoucher { voucher, tally });
        let init = SessionInit {
            chain_id: key.chain_id,
            terms: self.context.terms.clone(),
            proof,
            price: self.context.book.price(),
            newest,
            have: self.context.book.tokens(),
        };
        socket.send(&FromRenter::SessionInit(Box::new(init))).await?;
        loop {
            match socket.receive().await? {
                FromHost::SessionReady(ready) => {
                    self.context.book.rewind(ready.tokens)?;
                    return Ok(ready.running);
                }
                FromHost::Error { error, .. } => {
                    return Err(match error.code {
                        // These pass: the block is not seen yet, the chain or the host is busy.
                        ErrorCode::ChainUnavailable
                        | ErrorCode::Overloaded
                        | ErrorCode::Draining
                        | ErrorCode::UnknownSession
                        | ErrorCode::Internal => Leave::Broken(Broken::new(error.to_string())),
                        _ => Leave::Over(Over::Fatal(error)),
                    });
                }
                _ => {}
            }
        }
    }
}
