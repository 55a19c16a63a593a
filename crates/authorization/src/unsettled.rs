//! What the upstream may still do of what it did not answer.

use portcullis_base::clock::Timestamp;
use portcullis_s3::{Hazard, VersioningStatus};

/// What a request would change of what others are judged by, were it carried out late.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LateEffect {
    /// An upload of unknown origin is completed, perhaps as the null version.
    Completion,
    /// The bucket itself, or its rules, policies and grants.
    Configuration,
    /// Versioning is suspended.
    Suspension,
    /// Versions are written or removed, perhaps the null version.
    Versions,
}

/// Until when the upstream may carry out requests to a bucket that it did not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UnsettledUntil {
    pub completions: Option<Timestamp>,
    pub configuration: Option<Timestamp>,
    pub suspension: Option<Timestamp>,
    pub versions: Option<Timestamp>,
}

impl LateEffect {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Completion, Self::Configuration, Self::Suspension, Self::Versions];

    /// The effect of a request of this hazard; none where it does not matter when it is carried out.
    pub fn of(hazard: Hazard) -> Option<Self> {
        match hazard {
            Hazard::ChangesVersioning(change) => match change.status {
                VersioningStatus::Enabled => None,
                VersioningStatus::Suspended => Some(Self::Suspension),
            },
            Hazard::DestroysVersion | Hazard::ReplacesNullVersion | Hazard::ReplacesUnversioned => Some(Self::Versions),
            Hazard::CreatesBucket
            | Hazard::DeletesBucket
            | Hazard::ExpiresVersions
            | Hazard::ExposesData
            | Hazard::Replicates
            | Hazard::WeakensProtection => Some(Self::Configuration),
            // An upload of which nothing is known is judged when it is completed.
            Hazard::None | Hazard::OpensUpload => None,
        }
    }
}

impl UnsettledUntil {
    /// Everything was answered.
    pub const NOTHING: Self = Self { completions: None, configuration: None, suspension: None, versions: None };

    /// One effect that may come until then.
    pub fn until(effect: LateEffect, until: Timestamp) -> Self {
        let mut unsettled = Self::NOTHING;
        *unsettled.place(effect) = Some(until);
        unsettled
    }

    /// Until when this effect may come.
    pub fn of(mut self, effect: LateEffect) -> Option<Timestamp> {
        *self.place(effect)
    }

    /// Until when anything may come.
    pub fn latest(self) -> Option<Timestamp> {
        self.configuration.max(self.suspension).max(self.written())
    }

    /// Until when versions may be written or removed.
    pub fn written(self) -> Option<Timestamp> {
        self.completions.max(self.versions)
    }

    /// What may come after this moment.
    pub fn after(self, now: Timestamp) -> Self {
        let later = |until: Option<Timestamp>| until.filter(|until| *until > now);
        Self {
            completions: later(self.completions),
            configuration: later(self.configuration),
            suspension: later(self.suspension),
            versions: later(self.versions),
        }
    }

    /// Both, each effect until the later time.
    pub fn joined(self, other: Self) -> Self {
        Self {
            completions: self.completions.max(other.completions),
            configuration: self.configuration.max(other.configuration),
            suspension: self.suspension.max(other.suspension),
            versions: self.versions.max(other.versions),
        }
    }

    fn place(&mut self, effect: LateEffect) -> &mut Option<Timestamp> {
        match effect {
            LateEffect::Completion => &mut self.completions,
            LateEffect::Configuration => &mut self.configuration,
            LateEffect::Suspension => &mut self.suspension,
            LateEffect::Versions => &mut self.versions,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_effect_lasts_until_its_own_latest_time() {
        let at = Timestamp::from_seconds;
        let both = UnsettledUntil::until(LateEffect::Versions, at(10))
            .joined(UnsettledUntil::until(LateEffect::Suspension, at(20)));
        assert_eq!(both.latest(), Some(at(20)));
        assert_eq!(both.joined(UnsettledUntil::until(LateEffect::Versions, at(5))).versions, Some(at(10)));
        assert_eq!(both.after(at(9)), both);
        assert_eq!(both.after(at(10)), UnsettledUntil::until(LateEffect::Suspension, at(20)));
        assert_eq!(both.after(at(20)), UnsettledUntil::NOTHING);
        for effect in LateEffect::ALL {
            assert_eq!(UnsettledUntil::until(effect, at(1)).of(effect), Some(at(1)));
            assert_eq!(UnsettledUntil::NOTHING.of(effect), None);
        }
    }
}
