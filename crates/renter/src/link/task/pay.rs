//! Paying: compared with this side's count, stored, and only then sent.

use capstan_base::{Amount, B256, SignedVoucher, TallyState, Voucher};
use capstan_store::VoucherOutcome;
use capstan_wire::session::FromRenter;

use super::{Leave, Over, Task};
use crate::link::socket::Socket;

impl Task {
    pub(super) async fn pay(
        &mut self,
        socket: &mut Socket,
        amount: Amount,
        tokens: u64,
        root: B256,
    ) -> Result<(), Leave> {
        let (voucher, state) = self.context.book.judge(amount, tokens, root)?;
        if let Some((newest, _)) = &self.context.newest
            && newest.voucher == voucher
        {
            // It was lost on the way, or the host could not store it.
            let again = FromRenter::Voucher(newest.clone());
            return Ok(socket.send(&again).await?);
        }
        if voucher.amount <= self.context.book.signed() {
            return Ok(());
        }
        self.sign_and_send(socket, voucher, state).await
    }

    /// Before it goes: a host that asks for its last voucher after the end of an answer gets it.
    pub(super) async fn pay_what_is_open(&mut self, socket: &mut Socket) -> Result<(), Leave> {
        match self.context.book.unsigned() {
            Some((voucher, state)) => self.sign_and_send(socket, voucher, state).await,
            None => Ok(()),
        }
    }

    pub(super) async fn sign_and_send(
        &mut self,
        socket: &mut Socket,
        voucher: Voucher,
        state: TallyState,
    ) -> Result<(), Leave> {
        let key = self.context.key;
        let lost = |why: String| Leave::Over(Over::Lost(why));
        let signature = self
            .context
            .signer
            .sign_digest_65(voucher.digest(key.chain_id, key.marketplace))
            .map_err(|error| lost(error.to_string()))?;
        let signed = SignedVoucher { voucher, signature };
        let stored = self
            .context
            .store
            .record_signed_voucher(key, &signed, &state)
            .await
            .map_err(|error| lost(error.to_string()))?;
        if !matches!(stored, VoucherOutcome::Stored) {
            return Err(lost("the session is not open in the store any more".into()));
        }
        self.context.book.accept(&voucher, state.clone());
        self.context.newest = Some((signed.clone(), state));
        self.publish_counts();
        socket.send(&FromRenter::Voucher(signed)).await?;
        Ok(())
    }
}
