//! The meter: decides, without IO, what may be served and which vouchers count.

use std::collections::VecDeque;

use capstan_base::tally::TallyState;
use capstan_base::{Amount, Price, SignedVoucher, Tally, TallyError, Voucher};
use capstan_wire::{ApiError, ErrorCode};

/// How much may be served beyond the newest voucher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credit {
    /// Up to the window: a voucher will follow on the same connection.
    Window,
    /// Nothing: no voucher is sure to follow.
    Ceiling,
}

/// Whether one more output token may be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// Yes.
    Serve,
    /// Not before a higher voucher.
    NeedVoucher,
    /// Never again in this session.
    DepositExhausted,
}

/// A point of the tally that a voucher may state.
#[derive(Clone, Debug)]
struct Checkpoint {
    voucher: Voucher,
    state: TallyState,
}

/// Tally, newest voucher and window of one session.
#[derive(Clone, Debug)]
pub struct Meter {
    session_id: capstan_base::SessionId,
    tally: Tally,
    deposit: Amount,
    window: u64,
    newest: Option<SignedVoucher>,
    /// Tokens whose cost the newest voucher covers.
    covered: u64,
    /// Tokens that the renter is known to hold: those its newest exact voucher states. A voucher
    /// may cover more, since a token can cost nothing that was not rounded up already.
    acknowledged: u64,
    /// One per prompt and per generated token that no voucher covers: what one may state. At most
    /// the window and one prompt.
    checkpoints: VecDeque<Checkpoint>,
}

impl Meter {
    /// A new session with nothing used.
    pub fn new(
        session_id: capstan_base::SessionId,
        price: Price,
        deposit: Amount,
        window: u64,
    ) -> Self {
        Self {
            session_id,
            tally: Tally::new(price),
            deposit,
            window,
            newest: None,
            covered: 0,
            acknowledged: 0,
            checkpoints: VecDeque::new(),
        }
    }

    /// Goes on from what the store or the renter knows. The voucher must be verified already.
    pub fn resume(&mut self, newest: SignedVoucher, state: TallyState) -> Result<(), TallyError> {
        let tally = Tally::resume(self.tally.price(), state)?;
        if tally.owed()? > newest.voucher.amount {
            return Err(TallyError::Inconsistent);
        }
        self.covered = tally.tokens();
        self.acknowledged = tally.tokens();
        self.tally = tally;
        self.newest = Some(newest);
        self.checkpoints.clear();
        Ok(())
    }

    /// The session's running totals.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Newest voucher that was stored.
    pub fn newest(&self) -> Option<&SignedVoucher> {
        self.newest.as_ref()
    }

    /// Amount of the newest voucher.
    pub fn signed(&self) -> Amount {
        self.newest.as_ref().map_or(Amount::ZERO, |newest| newest.voucher.amount)
    }

    /// Deposit with top-ups.
    pub fn deposit(&self) -> Amount {
        self.deposit
    }

    /// A top-up was read from the chain.
    pub fn set_deposit(&mut self, deposit: Amount) {
        self.deposit = deposit;
    }

    /// Tokens served beyond the newest voucher.
    pub fn uncovered(&self) -> u64 {
        self.tally.tokens().saturating_sub(self.covered)
    }

    /// Tokens that the newest voucher covers.
    pub fn covered(&self) -> u64 {
        self.covered
    }

    /// Tokens that the renter is known to hold.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// What the host may claim: never more than was signed, never more than was served.
    pub fn claim(&self) -> Amount {
        self.tally.owed().unwrap_or(Amount::ZERO).min(self.signed())
    }

    /// Counts a prompt; refused if the deposit cannot pay for it and one token of answer, or if
    /// an earlier prompt is still to be signed for: prompts alone must not add up without limit.
    pub fn push_prompt<'a>(
        &mut self,
        tokens: impl ExactSizeIterator<Item = (u32, &'a [u8])>,
        credit: Credit,
    ) -> Result<(), Room> {
        let count = u64::try_from(tokens.len()).unwrap_or(u64::MAX);
        let after = self.tally.owed_after(count, 1).map_err(|_| Room::DepositExhausted)?;
        if after > self.deposit {
            return Err(Room::DepositExhausted);
        }
        let open = match credit {
            Credit::Ceiling => after > self.signed(),
            Credit::Window => self.uncovered() > self.window,
        };
        if open {
            return Err(Room::NeedVoucher);
        }
        for (id, text) in tokens {
            self.tally.push_input(id, text);
        }
        // A prompt is counted whole by both sides: no voucher states half of one.
        self.after_push();
        Ok(())
    }

    /// Counts one generated token. Ask [`Meter::room`] first.
    pub fn push_output(&mut self, id: u32, text: &[u8]) {
        self.tally.push_output(id, text);
        self.after_push();
    }

    fn after_push(&mut self) {
        let Ok(voucher) = self.tally.voucher(self.session_id) else { return };
        if voucher.amount <= self.signed() {
            self.covered = self.tally.tokens();
            self.checkpoints.clear();
        } else {
            self.checkpoints.push_back(Checkpoint { voucher, state: self.tally.state() });
        }
    }

    /// Whether one more output token may be served.
    pub fn room(&self, credit: Credit) -> Room {
        let Ok(after) = self.tally.owed_after(0, 1) else { return Room::DepositExhausted };
        if after > self.deposit {
            return Room::DepositExhausted;
        }
        let covered = match credit {
            Credit::Window => after <= self.signed() || self.uncovered() < self.window,
            Credit::Ceiling => after <= self.signed(),
        };
        if covered { Room::Serve } else { Room::NeedVoucher }
    }

    /// What a voucher over everything so far states; `None` if nothing is open.
    pub fn statement(&self) -> Option<Voucher> {
        self.checkpoints.back().map(|checkpoint| checkpoint.voucher)
    }

    /// Judges a voucher whose signature is verified, and gives the tally to store beside it.
    /// Changes nothing: [`Meter::accept`] does, once the voucher is stored.
    pub fn judge(&self, voucher: &Voucher) -> Result<TallyState, ApiError> {
        let refuse = |code, message: String| Err(ApiError::new(code, message));
        if voucher.session_id != self.session_id {
            return refuse(
                ErrorCode::VoucherMismatch,
                format!(
                    "the voucher is for session {}, this is {}",
                    voucher.session_id, self.session_id
                ),
            );
        }
        if voucher.amount > self.deposit {
            return refuse(
                ErrorCode::VoucherOverDeposit,
                format!("the voucher states {}, the deposit is {}", voucher.amount, self.deposit),
            );
        }
        if voucher.amount <= self.signed() {
            return refuse(
                ErrorCode::VoucherNotHigher,
                format!(
                    "the voucher states {}, {} is signed already",
                    voucher.amount,
                    self.signed()
                ),
            );
        }
        if let Some(exact) = self.checkpoints.iter().find(|point| point.voucher == *voucher) {
            return Ok(exact.state.clone());
        }
        if voucher.is_ceiling() && voucher.amount >= self.owed() {
            // What was served so far is what is stored; the rest is still to be served.
            return Ok(self.tally.state());
        }
        refuse(
            ErrorCode::VoucherMismatch,
            format!(
                "the voucher states {} for {} tokens under {}; the host counted {} for {} under {}",
                voucher.amount,
                voucher.tokens,
                voucher.transcript_root,
                self.owed(),
                self.tally.tokens(),
                self.tally.root(),
            ),
        )
    }

    /// Takes a judged and stored voucher into account.
    pub fn accept(&mut self, signed: SignedVoucher) {
        let amount = signed.voucher.amount;
        while let Some(point) = self.checkpoints.front() {
            if point.voucher.amount > amount {
                break;
            }
            self.covered = point.voucher.tokens;
            self.checkpoints.pop_front();
        }
        if !signed.voucher.is_ceiling() {
            self.acknowledged = signed.voucher.tokens;
        }
        self.newest = Some(signed);
    }

    fn owed(&self) -> Amount {
        self.tally.owed().unwrap_or(Amount::MAX)
    }
}
