//! The services whose calls are understood, and how each is spoken to.

use portcullis_cloudtrail::record::EventSource;
use portcullis_sigv4::AwsService;

/// One AWS service beside S3 and CloudTrail, as far as its calls are read and answered here.
#[derive(Debug)]
pub struct ServiceApi {
    /// What a credential's scope calls it.
    pub service: AwsService,
    /// What events call it.
    pub source: EventSource,
    pub protocol: ServiceProtocol,
    pub reach: ServiceReach,
}

/// How calls of a service are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceProtocol {
    /// A form with `Action` and `Version`; XML with EC2's own envelope for errors.
    Ec2(QueryVersion),
    /// `X-Amz-Target: PREFIX.ACTION` and a JSON object (awsJson1_1); JSON with `__type`.
    Json {
        /// What stands before the dot of the target.
        target: &'static str,
    },
    /// A form with `Action` and `Version`; XML.
    Query(QueryVersion),
}

/// The one version of an API in a Query protocol, and the namespace of its documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueryVersion {
    pub version: &'static str,
    pub namespace: &'static str,
}

/// Whether AWS has one of the service in each region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceReach {
    /// One for all regions; some clients sign for [`GLOBAL_REGION`] wherever they are.
    Global,
    Region,
}

/// The region for which calls of global services are signed.
pub const GLOBAL_REGION: &str = "us-east-1";

const fn version(version: &'static str, namespace: &'static str) -> QueryVersion {
    QueryVersion { version, namespace }
}

/// IAM, whose calls `iam` answers; the way in which they come is that of the others.
pub static IAM_API: ServiceApi = ServiceApi {
    service: AwsService::Iam,
    source: EventSource::Iam,
    protocol: ServiceProtocol::Query(version("2010-05-08", "https://iam.amazonaws.com/doc/2010-05-08/")),
    reach: ServiceReach::Global,
};

/// All others, by their names in a scope.
pub static SERVICE_APIS: [ServiceApi; 6] = [
    ServiceApi {
        service: AwsService::Ec2,
        source: EventSource::Ec2,
        protocol: ServiceProtocol::Ec2(version("2016-11-15", "http://ec2.amazonaws.com/doc/2016-11-15/")),
        reach: ServiceReach::Region,
    },
    ServiceApi {
        service: AwsService::Kms,
        source: EventSource::Kms,
        protocol: ServiceProtocol::Json { target: "TrentService" },
        reach: ServiceReach::Region,
    },
    ServiceApi {
        service: AwsService::Logs,
        source: EventSource::Logs,
        protocol: ServiceProtocol::Json { target: "Logs_20140328" },
        reach: ServiceReach::Region,
    },
    ServiceApi {
        service: AwsService::Organizations,
        source: EventSource::Organizations,
        protocol: ServiceProtocol::Json { target: "AWSOrganizationsV20161128" },
        reach: ServiceReach::Global,
    },
    ServiceApi {
        service: AwsService::Sns,
        source: EventSource::Sns,
        protocol: ServiceProtocol::Query(version("2010-03-31", "http://sns.amazonaws.com/doc/2010-03-31/")),
        reach: ServiceReach::Region,
    },
    ServiceApi {
        service: AwsService::Sts,
        source: EventSource::Sts,
        protocol: ServiceProtocol::Query(version("2011-06-15", "https://sts.amazonaws.com/doc/2011-06-15/")),
        reach: ServiceReach::Global,
    },
];

impl ServiceApi {
    /// The API of a service; none of those of S3, CloudTrail and IAM, which are answered elsewhere.
    pub fn of_service(service: AwsService) -> Option<&'static Self> {
        SERVICE_APIS.iter().find(|api| api.service == service)
    }

    /// The API that an `X-Amz-Target` names.
    pub fn of_target(target: &str) -> Option<&'static Self> {
        SERVICE_APIS.iter().find(|api| match api.protocol {
            ServiceProtocol::Json { target: prefix } => {
                target.split_once('.').is_some_and(|(before, _)| before == prefix)
            }
            ServiceProtocol::Ec2(_) | ServiceProtocol::Query(_) => false,
        })
    }

    /// The service's name, as it stands before the colon of an IAM action.
    pub fn name(&self) -> &'static str {
        self.service.as_str()
    }

    /// Whether a call may be signed for this region although another one is configured.
    pub fn takes_region(&self, region: &str) -> bool {
        self.reach == ServiceReach::Global && region == GLOBAL_REGION
    }
}
