//! Rounds of messages, whatever is computed between them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, Zeroizing};

use super::echo::{Echo, echo_of};
use super::fault::Fault;
use super::member::MemberIndex;

/// The longest message that any ceremony of up to ten members has is a fifth of this.
const LONGEST_MESSAGE: usize = 1 << 20;

/// A message to carry to one member. Its bytes may hold that member's secrets: it goes over an
/// encrypted connection, and no further.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// For whom.
    pub to: MemberIndex,
    /// What to hand to its [`Ceremony::receive`].
    pub bytes: Zeroizing<Vec<u8>>,
}

/// A message with the member whose connection it came over.
#[derive(Clone, Copy, Debug)]
pub struct Incoming<'a> {
    /// Authenticated sender.
    pub from: MemberIndex,
    /// As it was sent.
    pub bytes: &'a [u8],
}

/// What a message led to.
#[derive(Debug)]
pub struct Progress<T> {
    /// Messages to carry now, in order.
    pub outgoing: Vec<Outgoing>,
    /// The result, once there is one. Messages may come with it: others wait for them.
    pub result: Option<T>,
}

/// What a member computes between the rounds of one protocol. Not named outside: the protocols are those of this module.
pub trait Rounds {
    /// What it is for.
    type Output;
    /// Number of the last round, from 1.
    const LAST: u8;
    /// What is sent in round 1.
    fn begin(&mut self) -> Result<Sent, Fault>;
    /// Takes everybody's messages of `round`, our own included.
    fn advance(&mut self, round: u8, received: Received) -> Result<Step<Self::Output>, Fault>;
}

/// What follows from a round.
pub enum Step<T> {
    Send(Sent),
    Done(T),
}

/// Messages of one round: the same part for all, and one for each.
#[derive(Default)]
pub struct Sent {
    pub broadcast: Vec<u8>,
    pub direct: BTreeMap<MemberIndex, Zeroizing<Vec<u8>>>,
}

/// What came in a round.
pub struct Received {
    /// Everybody's, our own included.
    pub broadcasts: BTreeMap<MemberIndex, Vec<u8>>,
    /// What each other member sent to us alone.
    pub direct: BTreeMap<MemberIndex, Zeroizing<Vec<u8>>>,
}

#[derive(Serialize, Deserialize)]
struct Message {
    round: u8,
    broadcast: Vec<u8>,
    direct: Vec<u8>,
    /// Of the broadcasts of the round before, as the sender has them; zeros in round 1.
    echo: Echo,
}

impl Drop for Message {
    fn drop(&mut self) {
        self.direct.zeroize();
    }
}

/// One member's side of a protocol that is under way.
pub struct Ceremony<P> {
    id: [u8; 32],
    me: MemberIndex,
    others: Vec<MemberIndex>,
    protocol: P,
    /// The round whose messages we wait for.
    round: u8,
    own_broadcast: Vec<u8>,
    echo: Echo,
    /// Messages by round that were not needed yet.
    early: BTreeMap<u8, BTreeMap<MemberIndex, Message>>,
    /// Digest of every message ever taken, to know a repetition from a contradiction.
    taken: BTreeMap<(u8, MemberIndex), [u8; 32]>,
    ended: bool,
}

/// Nothing of a ceremony under way is for a log.
impl<P> core::fmt::Debug for Ceremony<P> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Ceremony")
            .field("me", &self.me)
            .field("round", &self.round)
            .finish_non_exhaustive()
    }
}

impl<P: Rounds> Ceremony<P> {
    /// Begins. `id` is this ceremony's alone: what was said in another one means nothing here.
    pub(super) fn begin(
        id: [u8; 32],
        me: MemberIndex,
        others: Vec<MemberIndex>,
        mut protocol: P,
    ) -> Result<(Self, Vec<Outgoing>), Fault> {
        let sent = protocol.begin()?;
        let mut ceremony = Self {
            id,
            me,
            others,
            protocol,
            round: 1,
            own_broadcast: Vec::new(),
            echo: Echo::default(),
            early: BTreeMap::new(),
            taken: BTreeMap::new(),
            ended: false,
        };
        let outgoing = ceremony.send(sent)?;
        Ok((ceremony, outgoing))
    }

    /// The members whose messages are still missing in the round that is under way.
    pub fn waiting_for(&self) -> Vec<MemberIndex> {
        let arrived = self.early.get(&self.round);
        let is_missing =
            |member: &&MemberIndex| arrived.is_none_or(|here| !here.contains_key(member));
        self.others.iter().filter(is_missing).copied().collect()
    }

    /// Takes one message, and goes as far as that leads.
    ///
    /// # Errors
    /// [`Fault`]: the ceremony has ended without a result, and takes nothing more.
    pub fn receive(&mut self, incoming: Incoming<'_>) -> Result<Progress<P::Output>, Fault> {
        if self.ended {
            return Err(Fault::ourselves("the ceremony has ended"));
        }
        let progress = self.take(incoming).and_then(|()| self.proceed());
        self.ended = progress.as_ref().map_or(true, |progress| progress.result.is_some());
        progress
    }

    fn take(&mut self, Incoming { from, bytes }: Incoming<'_>) -> Result<(), Fault> {
        if !self.others.contains(&from) {
            return Err(Fault::of(from, format!("member {from} has no part in this ceremony")));
        }
        if bytes.len() > LONGEST_MESSAGE {
            return Err(Fault::of(
                from,
                format!("member {from} sent {} bytes at once", bytes.len()),
            ));
        }
        let malformed = || Fault::of(from, format!("member {from} sent what is no message"));
        let (message, rest) =
            postcard::take_from_bytes::<Message>(bytes).map_err(|_| malformed())?;
        if !rest.is_empty() || message.round == 0 || message.round > P::LAST {
            return Err(malformed());
        }
        let digest = Sha256::digest(bytes).into();
        match self.taken.insert((message.round, from), digest) {
            None => {}
            Some(known) if known == digest => return Ok(()),
            Some(_) => {
                let round = message.round;
                return Err(Fault::of(
                    from,
                    format!("member {from} sent two messages in round {round}"),
                ));
            }
        }
        self.early.entry(message.round).or_default().insert(from, message);
        Ok(())
    }

    fn proceed(&mut self) -> Result<Progress<P::Output>, Fault> {
        let mut outgoing = Vec::new();
        while self.waiting_for().is_empty() {
            let messages = self.early.remove(&self.round).unwrap_or_default();
            let received = self.open(messages)?;
            let echo = echo_of(&self.id, self.round, &received.broadcasts);
            match self.protocol.advance(self.round, received)? {
                Step::Done(result) => return Ok(Progress { outgoing, result: Some(result) }),
                Step::Send(sent) => {
                    let round = self.round.checked_add(1).filter(|round| *round <= P::LAST);
                    self.round = round.ok_or_else(|| Fault::ourselves("a round too many"))?;
                    self.echo = echo;
                    outgoing.extend(self.send(sent)?);
                }
            }
        }
        Ok(Progress { outgoing, result: None })
    }

    /// Checks the echoes, and sorts parts for all from parts for us.
    fn open(&mut self, messages: BTreeMap<MemberIndex, Message>) -> Result<Received, Fault> {
        let mut broadcasts = BTreeMap::from([(self.me, core::mem::take(&mut self.own_broadcast))]);
        let mut direct = BTreeMap::new();
        for (from, mut message) in messages {
            if message.echo != self.echo {
                // Either of the two lies, or somebody told each of them something else.
                return Err(Fault::of_nobody(format!(
                    "member {from} and member {me} heard different broadcasts before round {round}",
                    me = self.me,
                    round = self.round,
                )));
            }
            direct.insert(from, Zeroizing::new(core::mem::take(&mut message.direct)));
            broadcasts.insert(from, core::mem::take(&mut message.broadcast));
        }
        Ok(Received { broadcasts, direct })
    }

    fn send(&mut self, Sent { broadcast, mut direct }: Sent) -> Result<Vec<Outgoing>, Fault> {
        let mut outgoing = Vec::with_capacity(self.others.len());
        for to in self.others.iter().copied() {
            let mut own = direct.remove(&to).unwrap_or_default();
            let message = Message {
                round: self.round,
                broadcast: broadcast.clone(),
                direct: core::mem::take(&mut *own),
                echo: self.echo,
            };
            outgoing.push(Outgoing { to, bytes: encoded(&message)? });
        }
        self.own_broadcast = broadcast;
        Ok(outgoing)
    }
}

/// Bytes of a part of a message.
pub(super) fn encoded<T: Serialize>(part: &T) -> Result<Zeroizing<Vec<u8>>, Fault> {
    postcard::to_allocvec(part)
        .map(Zeroizing::new)
        .map_err(|error| Fault::ourselves(format!("message cannot be written: {error}")))
}

/// The part that `from` sent; all of its bytes have to be it.
pub(super) fn decoded<T: for<'de> Deserialize<'de>>(
    from: MemberIndex,
    bytes: &[u8],
) -> Result<T, Fault> {
    match postcard::take_from_bytes(bytes) {
        Ok((part, [])) => Ok(part),
        _ => Err(Fault::of(from, format!("member {from} sent a part that cannot be read"))),
    }
}
