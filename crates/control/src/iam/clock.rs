//! The actions on the clock that codes go by.

use serde_json::json;

use super::IamCall;
use super::refused::IamError;
use super::xml::ElementWriter;
use portcullis_base::clock::ClockDisagreement;

impl IamCall<'_> {
    pub(super) fn clock(self) -> ElementWriter {
        told(self.store.clock_disagreement().as_ref(), self.now.iso_extended())
    }

    /// Believes the clock as it is; what it should have said is in the answer and in the record.
    pub(super) async fn accept_clock(self) -> Result<ElementWriter, IamError> {
        let accepted = self.store.accept_clock().await.map_err(|error| IamError::store(error, "the clock"))?;
        if let Some(ClockDisagreement { wall, expected }) = accepted {
            let clock = json!({ "time": wall.iso_extended(), "expectedTime": expected.iso_extended() });
            self.facts.answers("clock", clock);
        }
        Ok(told(accepted.as_ref(), self.now.iso_extended()))
    }
}

/// `ExpectedTime` is there only where it is another one.
fn told(disagreement: Option<&ClockDisagreement>, now: String) -> ElementWriter {
    let result = ElementWriter::new("Result");
    let clock = match disagreement {
        Some(ClockDisagreement { wall, expected }) => ElementWriter::new("Clock")
            .text("Time", &wall.iso_extended())
            .text("ExpectedTime", &expected.iso_extended()),
        None => ElementWriter::new("Clock").text("Time", &now),
    };
    result.child(clock)
}
