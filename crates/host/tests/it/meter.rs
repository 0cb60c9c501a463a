//! The meter: whatever is pushed and signed in whatever order, its promises hold.

use capstan_base::{Amount, B256, Price, SessionKey, Voucher};
use capstan_host::meter::{Credit, Meter, Room};
use capstan_wire::ErrorCode;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::fixture::{per_token, session_key, units, unsigned};

const WINDOW: u64 = 8;

/// What happens to a meter.
#[derive(Clone, Debug)]
enum Step {
    Prompt { tokens: usize, ceiling: bool },
    Output { ceiling: bool },
    Exact,
    Stale,
    Replayed,
    OverDeposit,
    OtherRoot,
    OtherSession,
    Ceiling { above: u128 },
    CeilingBelow,
    Resume,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        2 => (1_usize..20, any::<bool>()).prop_map(|(tokens, c)| Step::Prompt { tokens, ceiling: c }),
        8 => any::<bool>().prop_map(|ceiling| Step::Output { ceiling }),
        3 => Just(Step::Exact),
        1 => Just(Step::Stale),
        1 => Just(Step::Replayed),
        1 => Just(Step::OverDeposit),
        1 => Just(Step::OtherRoot),
        1 => Just(Step::OtherSession),
        1 => (0_u128..20).prop_map(|above| Step::Ceiling { above }),
        1 => Just(Step::CeilingBelow),
        1 => Just(Step::Resume),
    ];
    vec(step, 0..120)
}

fn prices() -> impl Strategy<Value = Price> {
    prop_oneof![
        Just(per_token(1, 3)),
        // Less than one base unit per token: the cost stands still over several tokens.
        Just(Price { input: units(150_000), output: units(310_000) }),
        Just(Price { input: Amount::ZERO, output: units(1_000_000) }),
        Just(Price { input: units(1), output: units(1) }),
    ]
}

/// What must not change when something is refused.
fn shown(meter: &Meter) -> (Amount, Amount, u64, u64, u64, Option<Voucher>) {
    let tokens = meter.tally().tokens();
    (
        meter.signed(),
        meter.claim(),
        tokens,
        meter.covered(),
        meter.acknowledged(),
        meter.statement(),
    )
}

struct Run {
    key: SessionKey,
    price: Price,
    meter: Meter,
    /// Statements the host made, oldest first: what a renter could have signed.
    stated: Vec<Voucher>,
    prompt: u64,
}

impl Run {
    fn offer(&mut self, voucher: Voucher) -> Result<(), ErrorCode> {
        let before = shown(&self.meter);
        match self.meter.judge(&voucher) {
            Ok(state) => {
                assert!(state.frontier.size <= self.meter.tally().tokens());
                let covered = self.meter.covered();
                self.meter.accept(unsigned(voucher));
                assert_eq!(self.meter.signed(), voucher.amount);
                assert!(self.meter.covered() >= covered, "covered fell");
                assert!(self.meter.acknowledged() <= self.meter.covered());
                Ok(())
            }
            Err(error) => {
                assert_eq!(before, shown(&self.meter), "a refused voucher changed something");
                Err(error.code)
            }
        }
    }

    fn check(&self) {
        let meter = &self.meter;
        let owed = meter.tally().owed().unwrap();
        assert!(meter.claim() <= meter.signed() && meter.claim() <= owed);
        assert!(meter.signed() <= meter.deposit());
        assert!(meter.covered() <= meter.tally().tokens());
        assert!(meter.uncovered() <= WINDOW + self.prompt, "{} uncovered", meter.uncovered());
        assert_eq!(meter.statement().is_none(), owed <= meter.signed());
        if let Some(statement) = meter.statement() {
            assert_eq!(Ok(statement), meter.tally().voucher(self.key.session_id));
        }
    }

    fn step(&mut self, step: &Step) {
        let credit = |ceiling: &bool| if *ceiling { Credit::Ceiling } else { Credit::Window };
        let newest = self.meter.newest().map(|newest| newest.voucher);
        let statement = self.meter.statement();
        match step {
            Step::Prompt { tokens, ceiling } => {
                let before = shown(&self.meter);
                let ids = (0..*tokens).map(|id| (id as u32, &b"ab"[..])).collect::<Vec<_>>();
                match self.meter.push_prompt(ids.into_iter(), credit(ceiling)) {
                    Ok(()) => self.prompt = *tokens as u64,
                    Err(_) => assert_eq!(before, shown(&self.meter)),
                }
            }
            Step::Output { ceiling } => {
                if self.meter.room(credit(ceiling)) == Room::Serve {
                    self.meter.push_output(7, b"x");
                    assert!(self.meter.tally().owed().unwrap() <= self.meter.deposit());
                }
            }
            Step::Exact => {
                if let Some(statement) = statement {
                    assert_eq!(self.offer(statement), Ok(()));
                    assert_eq!(self.meter.uncovered(), 0);
                    assert_eq!(self.meter.acknowledged(), statement.tokens);
                }
            }
            Step::Stale => {
                // Any older statement is good exactly if it is higher than what is signed.
                if let Some(old) = self.stated.iter().rev().nth(3).copied() {
                    let taken = self.offer(old);
                    assert_eq!(taken.is_ok(), newest.is_none_or(|n| old.amount > n.amount));
                }
            }
            Step::Replayed => {
                if let Some(newest) = newest {
                    assert_eq!(self.offer(newest), Err(ErrorCode::VoucherNotHigher));
                }
            }
            Step::OverDeposit => {
                let deposit = self.meter.deposit();
                let amount = deposit.checked_add(units(1)).unwrap();
                let voucher = Voucher::ceiling(self.key.session_id, amount);
                assert_eq!(self.offer(voucher), Err(ErrorCode::VoucherOverDeposit));
            }
            Step::OtherRoot => {
                if let Some(mut voucher) = statement {
                    voucher.transcript_root = B256::repeat_byte(1);
                    assert_eq!(self.offer(voucher), Err(ErrorCode::VoucherMismatch));
                }
            }
            Step::OtherSession => {
                if let Some(mut voucher) = statement {
                    voucher.session_id = session_key(9).session_id;
                    assert_eq!(self.offer(voucher), Err(ErrorCode::VoucherMismatch));
                }
            }
            Step::Ceiling { above } => {
                let base = self.meter.tally().owed().unwrap().max(self.meter.signed());
                let amount = base.checked_add(units(above + 1)).unwrap();
                if amount <= self.meter.deposit() {
                    let ceiling = Voucher::ceiling(self.key.session_id, amount);
                    assert_eq!(self.offer(ceiling), Ok(()));
                }
            }
            Step::CeilingBelow => {
                let owed = self.meter.tally().owed().unwrap();
                let below = owed.checked_sub(units(1)).filter(|below| *below > self.meter.signed());
                if let Some(below) = below {
                    let ceiling = Voucher::ceiling(self.key.session_id, below);
                    assert_eq!(self.offer(ceiling), Err(ErrorCode::VoucherMismatch));
                }
            }
            Step::Resume => self.resume(),
        }
        if let Some(statement) = self.meter.statement()
            && self.stated.last() != Some(&statement)
        {
            self.stated.push(statement);
        }
        self.check();
    }

    /// As after a restart at a moment when everything is covered.
    fn resume(&mut self) {
        let Some(newest) = self.meter.newest().cloned() else { return };
        if self.meter.statement().is_some() {
            return;
        }
        let mut resumed = Meter::new(self.key.session_id, self.price, self.meter.deposit(), WINDOW);
        resumed.resume(newest, self.meter.tally().state()).unwrap();
        assert_eq!(resumed.tally(), self.meter.tally());
        assert_eq!(resumed.claim(), self.meter.claim());
        assert_eq!(resumed.room(Credit::Window), self.meter.room(Credit::Window));
        assert_eq!(resumed.room(Credit::Ceiling), self.meter.room(Credit::Ceiling));
        self.meter = resumed;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_order_of_tokens_and_vouchers_breaks_a_promise(
        steps in steps(), price in prices(), deposit in 0_u128..400,
    ) {
        let key = session_key(3);
        let meter = Meter::new(key.session_id, price, units(deposit), WINDOW);
        let mut run = Run { key, price, meter, stated: Vec::new(), prompt: 0 };
        for step in &steps {
            run.step(step);
        }
    }
}

fn push(meter: &mut Meter, tokens: usize) {
    let prompt = vec![(1, &b"a"[..]); tokens];
    meter.push_prompt(prompt.into_iter(), Credit::Window).unwrap();
}

#[test]
fn prompts_alone_do_not_add_up_without_a_voucher() {
    let mut meter = Meter::new(session_key(1).session_id, per_token(1, 1), units(1 << 40), WINDOW);
    push(&mut meter, 1000);
    let another = vec![(1, &b"a"[..]); 1000];
    let refused = meter.push_prompt(another.into_iter(), Credit::Window);
    assert_eq!(refused, Err(Room::NeedVoucher));
    assert_eq!(meter.tally().tokens(), 1000);
}

#[test]
fn a_prompt_is_stated_whole() {
    let mut meter = Meter::new(session_key(1).session_id, per_token(1, 1), units(1 << 40), WINDOW);
    push(&mut meter, 10);
    let mut half = meter.clone();
    let whole = meter.statement().unwrap();
    assert_eq!(whole.tokens, 10);
    let mut part = Meter::new(session_key(1).session_id, per_token(1, 1), units(99), WINDOW);
    push(&mut part, 5);
    assert!(half.judge(&part.statement().unwrap()).is_err());
    half.accept(unsigned(whole));
    assert_eq!((half.uncovered(), half.acknowledged()), (0, 10));
}

#[test]
fn a_voucher_may_cover_more_than_it_acknowledges() {
    let price = Price { input: units(1), output: units(1) };
    let mut meter = Meter::new(session_key(1).session_id, price, units(9), WINDOW);
    push(&mut meter, 3);
    let first = meter.statement().unwrap();
    meter.push_output(5, b"b");
    meter.accept(unsigned(first));
    meter.push_output(6, b"c");
    assert_eq!((meter.covered(), meter.acknowledged()), (5, 3));
    assert_eq!(meter.claim(), units(1));
}

#[test]
fn a_torn_or_unpaid_state_is_not_resumed() {
    let key = session_key(1);
    let mut meter = Meter::new(key.session_id, per_token(1, 1), units(99), WINDOW);
    push(&mut meter, 10);
    let fresh = || Meter::new(key.session_id, per_token(1, 1), units(99), WINDOW);
    let cheap = unsigned(Voucher::ceiling(key.session_id, units(9)));
    assert!(fresh().resume(cheap, meter.tally().state()).is_err());
    let enough = unsigned(Voucher::ceiling(key.session_id, units(10)));
    let mut torn = meter.tally().state();
    torn.input += 1;
    assert!(fresh().resume(enough.clone(), torn).is_err());
    assert!(fresh().resume(enough, meter.tally().state()).is_ok());
}
