//! What MFA Delete had to do with a request, as it is recorded.

use portcullis_base::names::DeviceSerial;

use portcullis_authorization::MfaDelete;
use portcullis_cloudtrail::record::{MfaDeleteData, MfaDeleteStatus, MfaResult};
use portcullis_mfa::MfaFault;

/// What MFA Delete had to do with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MfaFacts {
    /// MFA Delete of the bucket when the request was judged.
    pub bucket: MfaDelete,
    /// True if the request needed a code.
    pub required: bool,
    /// True if the client sent `x-amz-mfa`.
    pub presented: bool,
    /// What became of the token, or of the lack of one; none if neither mattered.
    pub result: Option<MfaResult>,
    pub serial: Option<DeviceSerial>,
}

impl MfaFacts {
    pub(super) fn data(&self) -> MfaDeleteData<'_> {
        let bucket_status = match self.bucket {
            MfaDelete::Disabled => MfaDeleteStatus::Disabled,
            MfaDelete::Enabled => MfaDeleteStatus::Enabled,
            MfaDelete::NeverSet => MfaDeleteStatus::NeverSet,
        };
        let serial = self.serial.as_ref().filter(|serial| self.may_show(serial)).map(DeviceSerial::as_str);
        MfaDeleteData { bucket_status, required: self.required, presented: self.presented, result: self.result, serial }
    }

    /// False for what may be a code: a client that swaps serial and code sends the code as the serial. Digits alone are
    /// shown only once they are known to be a device.
    fn may_show(&self, serial: &DeviceSerial) -> bool {
        let could_be_code = serial.as_str().len() <= 10 && serial.as_str().bytes().all(|byte| byte.is_ascii_digit());
        match self.result {
            Some(MfaResult::Accepted | MfaResult::BadCode | MfaResult::Replayed | MfaResult::Throttled) => true,
            Some(
                MfaResult::ClockDisagrees
                | MfaResult::InsecureTransport
                | MfaResult::Malformed
                | MfaResult::Missing
                | MfaResult::NotRoot
                | MfaResult::Unavailable
                | MfaResult::UnknownDevice,
            )
            | None => !could_be_code,
        }
    }
}

/// The result that is recorded for a refused code.
pub fn mfa_result(fault: MfaFault) -> MfaResult {
    match fault {
        MfaFault::ClockDisagrees => MfaResult::ClockDisagrees,
        MfaFault::MoreCodesNeeded | MfaFault::NotDigits | MfaFault::WrongCode => MfaResult::BadCode,
        MfaFault::NetworkThrottled { .. } | MfaFault::TooManyAtOnce => MfaResult::Throttled,
        MfaFault::Replayed => MfaResult::Replayed,
        MfaFault::UnknownDevice => MfaResult::UnknownDevice,
    }
}
