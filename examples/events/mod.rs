//! Synthetic events of one day, such as a busy proxy records.

use portcullis_base::clock::Timestamp;

/// The seconds of a day.
pub(crate) const DAY: i64 = 24 * 60 * 60;

/// Makes the same events in every run.
pub(crate) struct Source {
    random: u64,
    start: i64,
}

/// One event; its bytes are those of [`Event::line`].
pub(crate) struct Event {
    pub id: String,
    pub time: i64,
    pub name: &'static str,
    pub user: String,
    pub access_key: String,
    pub address: String,
    pub bucket: String,
    pub key: String,
    pub error: Option<&'static str>,
    pub mfa: Option<&'static str>,
    pub request: u64,
    pub host: [u64; 4],
}

impl Source {
    /// Events from this moment on, in seconds since 1970, that follow from this number.
    pub(crate) fn new(random: u64, start: i64) -> Self {
        Self { random, start }
    }

    /// Event `number` of `of`, which are spread over one day.
    pub(crate) fn event(&mut self, number: u64, of: u64) -> Event {
        let user = self.below(200);
        let name = match self.below(10_000) {
            0 => "PutBucketVersioning",
            1..=6000 => "GetObject",
            6001..=8000 => "PutObject",
            8001..=9000 => "HeadObject",
            9001..=9700 => "ListObjects",
            _ => "DeleteObject",
        };
        let mfa = matches!(name, "DeleteObject" | "PutBucketVersioning") && self.below(30) == 0;
        let error = if mfa || self.below(33) == 0 { Some("AccessDenied") } else { None };
        let (high, low) = (self.next(), self.next());
        Event {
            id: format!(
                "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
                high >> 32,
                high >> 16 & 0xffff,
                high & 0xfff,
                low >> 52,
                low & 0xffff_ffff_ffff
            ),
            time: self.start + i64::try_from(u128::from(number) * 86_400 / u128::from(of)).unwrap(),
            name,
            user: format!("user-{user}"),
            access_key: format!("AKIA{:016X}", user * 0x9e37_79b9_7f4a),
            address: format!("10.1.{}.{}", self.below(2), self.below(250)),
            bucket: format!("bucket-{}", self.below(50)),
            key: format!(
                "data/{:x}/{:016x}.parquet",
                self.below(64),
                self.below(1_000_000).wrapping_mul(0x9e37_79b9_7f4a_7c15)
            ),
            error,
            mfa: mfa.then_some("Missing"),
            request: self.next(),
            host: std::array::from_fn(|_| self.next()),
        }
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// Xorshift: the same events in every run.
    fn next(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }
}

impl Event {
    /// True for an operation that changes nothing.
    pub(crate) fn reads(&self) -> bool {
        !matches!(self.name, "PutObject" | "DeleteObject" | "PutBucketVersioning")
    }

    /// The event as a line of JSON.
    pub(crate) fn line(&self) -> String {
        let Self { id, name, user, access_key, address, bucket, key, request, host: [one, two, three, four], .. } =
            self;
        let reads = self.reads();
        let error =
            self.error.map_or(String::new(), |code| format!(r#""errorCode":"{code}","errorMessage":"Access Denied","#));
        let mfa = self.mfa.map_or(String::new(), |result| {
            format!(
                r#","MfaDelete":{{"bucketStatus":"Enabled","required":"true","presented":"false","result":"{result}"}}"#
            )
        });
        format!(
            concat!(
                r#"{{"eventVersion":"1.11","userIdentity":{{"type":"IAMUser","principalId":"AIDA{access_key}","arn":"arn:aws:iam::123456789012:user/{user}","#,
                r#""accountId":"123456789012","accessKeyId":"{access_key}","userName":"{user}"}},"eventTime":"{time}","eventSource":"s3.amazonaws.com","#,
                r#""eventName":"{name}","awsRegion":"us-east-1","sourceIPAddress":"{address}","#,
                r#""userAgent":"[Boto3/1.43.11 md/Botocore#1.43.11 ua/2.1 os/linux#6.1.0 md/arch#x86_64 lang/python#3.11.2 cfg/retry-mode#legacy]",{error}"#,
                r#""requestParameters":{{"bucketName":"{bucket}","Host":"s3.example.org","key":"{key}"}},"responseElements":null,"#,
                r#""additionalEventData":{{"SignatureVersion":"SigV4","CipherSuite":"TLS_AES_128_GCM_SHA256","bytesTransferredIn":0,"AuthenticationMethod":"AuthHeader","#,
                r#""x-amz-id-2":"{one:016x}{two:016x}{three:016x}{four:016x}","bytesTransferredOut":{bytes}{mfa}}},"requestID":"{request:016X}","eventID":"{id}","readOnly":{reads},"#,
                r#""resources":[{{"type":"AWS::S3::Object","ARN":"arn:aws:s3:::{bucket}/{key}"}},{{"accountId":"123456789012","type":"AWS::S3::Bucket","ARN":"arn:aws:s3:::{bucket}"}}],"#,
                r#""eventType":"AwsApiCall","managementEvent":false,"recipientAccountId":"123456789012","eventCategory":"Data","#,
                r#""tlsDetails":{{"tlsVersion":"TLSv1.3","cipherSuite":"TLS_AES_128_GCM_SHA256","clientProvidedHostHeader":"s3.example.org"}}}}"#
            ),
            access_key = access_key,
            user = user,
            time = Timestamp::from_seconds(self.time),
            name = name,
            address = address,
            error = error,
            bucket = bucket,
            key = key,
            one = one,
            two = two,
            three = three,
            four = four,
            bytes = request % 1_000_000,
            mfa = mfa,
            request = request,
            id = id,
            reads = reads,
        )
    }
}
