//! The actions on the clock that codes go by.

use serde_json::json;

use super::Call;
use super::refused::Refused;
use super::xml::Element;
use portcullis_base::clock::ClockDisagreement;

impl Call<'_> {
    pub(super) fn clock(self) -> Element {
        told(self.store.clock_disagreement().as_ref(), self.now.iso_extended())
    }

    /// Believes the clock as it is; what it should have said is in the answer and in the record.
    pub(super) async fn accept_clock(self) -> Result<Element, Refused> {
        let accepted = self.store.accept_clock().await.map_err(|error| Refused::store(error, "the clock"))?;
        if let Some(ClockDisagreement { wall, expected }) = accepted {
            let clock = json!({ "time": wall.iso_extended(), "expectedTime": expected.iso_extended() });
            self.facts.answers("clock", clock);
        }
        Ok(told(accepted.as_ref(), self.now.iso_extended()))
    }
}

/// `ExpectedTime` is there only where it is another one.
fn told(disagreement: Option<&ClockDisagreement>, now: String) -> Element {
    let result = Element::new("Result");
    let clock = match disagreement {
        Some(ClockDisagreement { wall, expected }) => {
            Element::new("Clock").text("Time", &wall.iso_extended()).text("ExpectedTime", &expected.iso_extended())
        }
        None => Element::new("Clock").text("Time", &now),
    };
    result.child(clock)
}
