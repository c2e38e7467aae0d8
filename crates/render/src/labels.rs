//! From what a render asks for to the version it gets: by label, by share, as of a moment.

use domain::TenantId;
use domain::labels::{LabelName, Releases};
use domain::templates::{TemplateKey, TemplateVersion};
use domain::variants::{Bucket, BucketKey, TrafficSplit, Variant, Variants};
use jiff::{SignedDuration, Timestamp};
use store::{LabelRecord, LabelThen, Store};

use crate::error::RenderError;

/// How far a caller's clock may be ahead of ours before its present is our future.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_secs(60);

/// Which version of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// What renders when nothing is said: the version of the installation's live label, or the current one where it has none.
    Default,
    /// The one saved last, whatever label is the live one.
    Current,
    /// That one.
    Version(TemplateVersion),
    /// The one that a label leads to.
    Label {
        /// The label.
        label: LabelName,
        /// As it was at that moment; now when absent.
        as_of: Option<Timestamp>,
    },
}

impl Which {
    /// Refuses a moment that has not come: what a label will be then is not known.
    pub fn refuse_the_future(&self, now: Timestamp) -> Result<(), RenderError> {
        match self {
            Self::Label { as_of: Some(as_of), .. } if *as_of > now + CLOCK_SKEW => Err(RenderError::AsOfInFuture { as_of: *as_of, now }),
            _ => Ok(()),
        }
    }
}

/// The label whose version was chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Via {
    /// Its name; where the label that was asked for is split and the control was chosen, the control's.
    pub label: LabelName,
    /// The choice, where the label that was asked for is split.
    pub choice: Option<Choice>,
}

/// Which side of a split was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The side.
    pub variant: Variant,
    /// The place of the caller's bucket key; none without one.
    pub bucket: Option<Bucket>,
}

/// A label as a render needs it.
#[derive(Clone, Debug)]
pub(crate) struct HeadLabel {
    name: LabelName,
    version: TemplateVersion,
    split: Option<(TrafficSplit, LabelName)>,
}

impl From<LabelRecord> for HeadLabel {
    fn from(record: LabelRecord) -> Self {
        Self { name: record.label, version: record.version, split: record.split.map(|split| (split.percent, split.control)) }
    }
}

/// Who asks for which template, and what it says about the present.
pub(crate) struct Asked<'a> {
    pub(crate) store: &'a Store,
    pub(crate) releases: &'a Releases,
    pub(crate) tenant: &'a TenantId,
    pub(crate) key: &'a TemplateKey,
    pub(crate) bucket_key: Option<&'a BucketKey>,
    pub(crate) current: TemplateVersion,
    pub(crate) labels: &'a [HeadLabel],
}

impl Asked<'_> {
    /// The version, and the label that led to it. Only the past costs a word to the database.
    pub(crate) async fn choose(&self, which: &Which) -> Result<(TemplateVersion, Option<Via>), RenderError> {
        let (version, via) = match which {
            Which::Current => return Ok((self.current, None)),
            Which::Version(version) => return Ok((*version, None)),
            Which::Default => {
                let Some(label) = &self.releases.default_live_label else { return Ok((self.current, None)) };
                let not_released = || RenderError::NotReleased { key: self.key.to_string(), label: label.to_string() };
                self.now(label).ok_or_else(not_released)?
            }
            Which::Label { label, as_of: None } => self.now(label).ok_or_else(|| self.unknown(label))?,
            Which::Label { label, as_of: Some(as_of) } => self.then(label, *as_of).await?,
        };
        Ok((version, Some(via)))
    }

    fn now(&self, label: &LabelName) -> Option<(TemplateVersion, Via)> {
        let named = |name: &LabelName| self.labels.iter().find(|found| found.name == *name);
        let found = named(label)?;
        let Some((percent, control)) = &found.split else { return Some((found.version, Via { label: label.clone(), choice: None })) };
        let choice = self.side(label, *percent);
        let chosen = if choice.variant == Variant::Variant { found } else { named(control)? };
        Some((chosen.version, Via { label: chosen.name.clone(), choice: Some(choice) }))
    }

    async fn then(&self, label: &LabelName, as_of: Timestamp) -> Result<(TemplateVersion, Via), RenderError> {
        let (version, split) = self.was(label, as_of).await?;
        let Some((percent, control)) = split else { return Ok((version, Via { label: label.clone(), choice: None })) };
        let choice = self.side(label, percent);
        if choice.variant == Variant::Variant {
            return Ok((version, Via { label: label.clone(), choice: Some(choice) }));
        }
        let (version, _) = self.was(&control, as_of).await?;
        Ok((version, Via { label: control, choice: Some(choice) }))
    }

    async fn was(&self, label: &LabelName, as_of: Timestamp) -> Result<(TemplateVersion, Option<(TrafficSplit, LabelName)>), RenderError> {
        let then = self.store.tenant(self.tenant.clone()).labels().at(self.key, label, as_of).await?;
        let (key, name) = (self.key.to_string(), label.to_string());
        match then.ok_or_else(|| RenderError::UnknownTemplate { key: key.clone() })? {
            LabelThen::Was { version, split } => Ok((version, split.map(|split| (split.percent, split.control)))),
            LabelThen::Removed => Err(RenderError::LabelWasRemoved { key, label: name, as_of }),
            LabelThen::NotYet { made_at } => Err(RenderError::AsOfBeforeHistory { key, label: name, as_of, made_at }),
            LabelThen::Never => Err(self.unknown(label)),
        }
    }

    /// Without a bucket key nobody is part of a trial.
    fn side(&self, label: &LabelName, percent: TrafficSplit) -> Choice {
        let key = self.bucket_key.filter(|_| self.releases.variants == Variants::On);
        let bucket = key.map(|key| Bucket::of(self.tenant, self.key, label, key));
        Choice { variant: bucket.map_or(Variant::Control, |bucket| percent.variant_of(bucket)), bucket }
    }

    fn unknown(&self, label: &LabelName) -> RenderError {
        RenderError::UnknownLabel { key: self.key.to_string(), label: label.to_string() }
    }
}
