//! Who is in a committee.

use core::fmt;

use dkls23::protocols::{Parameters, PartyIndex};
use serde::{Deserialize, Serialize};

/// Place of a member in its committee, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct MemberIndex(u8);

/// What is no committee, or no member of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommitteeError {
    /// One member alone could sign, or two groups without a common member, or not even all together.
    #[error(
        "{threshold} of {members} is no committee: it takes at least 2 signers, more than half of the members and not \
         more than there are"
    )]
    BadThreshold {
        /// Signers required.
        threshold: u8,
        /// Members in all.
        members: u8,
    },
    /// Members are counted from 1.
    #[error("there is no member {index} in a committee of {members}")]
    NoSuchMember {
        /// What was given.
        index: u8,
        /// Members in all.
        members: u8,
    },
}

/// How many members there are and how many it takes to sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Unchecked", into = "Unchecked")]
pub struct Committee {
    threshold: u8,
    members: u8,
}

#[derive(Serialize, Deserialize)]
struct Unchecked {
    threshold: u8,
    members: u8,
}

impl MemberIndex {
    /// As a number.
    pub fn get(self) -> u8 {
        self.0
    }

    pub(super) fn party(self) -> Result<PartyIndex, CommitteeError> {
        PartyIndex::new(self.0)
            .map_err(|_| CommitteeError::NoSuchMember { index: self.0, members: u8::MAX })
    }
}

impl fmt::Display for MemberIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl TryFrom<u8> for MemberIndex {
    type Error = CommitteeError;
    fn try_from(index: u8) -> Result<Self, CommitteeError> {
        let no_such = CommitteeError::NoSuchMember { index, members: u8::MAX };
        if index == 0 { Err(no_such) } else { Ok(Self(index)) }
    }
}

impl From<MemberIndex> for u8 {
    fn from(index: MemberIndex) -> Self {
        index.0
    }
}

impl From<PartyIndex> for MemberIndex {
    fn from(index: PartyIndex) -> Self {
        Self(index.as_u8())
    }
}

impl Committee {
    /// `threshold` signers are required of `members`: more than half, so that any two groups that sign
    /// have a member in common. Its journal is what keeps one request from being signed twice by two
    /// groups of honest members that know nothing of each other.
    ///
    /// # Errors
    /// [`CommitteeError::BadThreshold`] unless 2 <= threshold <= members < 2 threshold.
    pub fn new(threshold: u8, members: u8) -> Result<Self, CommitteeError> {
        if threshold < 2 || threshold > members || members / 2 >= threshold {
            return Err(CommitteeError::BadThreshold { threshold, members });
        }
        Ok(Self { threshold, members })
    }

    /// Of a share, whose parameters were checked when it was made.
    pub(super) fn unchecked(threshold: u8, members: u8) -> Self {
        Self { threshold, members }
    }

    /// Signers required.
    pub fn threshold(self) -> u8 {
        self.threshold
    }

    /// Members in all.
    pub fn members(self) -> u8 {
        self.members
    }

    /// Every member, in order.
    pub fn all(self) -> impl Iterator<Item = MemberIndex> {
        (1..=self.members).map(MemberIndex)
    }

    /// # Errors
    /// [`CommitteeError::NoSuchMember`].
    pub fn member(self, index: u8) -> Result<MemberIndex, CommitteeError> {
        if index == 0 || index > self.members {
            return Err(CommitteeError::NoSuchMember { index, members: self.members });
        }
        Ok(MemberIndex(index))
    }

    pub(super) fn parameters(self) -> Parameters {
        Parameters { threshold: self.threshold, share_count: self.members }
    }
}

impl TryFrom<Unchecked> for Committee {
    type Error = CommitteeError;
    fn try_from(unchecked: Unchecked) -> Result<Self, CommitteeError> {
        Self::new(unchecked.threshold, unchecked.members)
    }
}

impl From<Committee> for Unchecked {
    fn from(committee: Committee) -> Self {
        Self { threshold: committee.threshold, members: committee.members }
    }
}
