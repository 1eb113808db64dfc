//! Settings of the API and of the URLs that it hands out.

use crate::base::pii::Secret;
use crate::base::units::{Size, Span};

crate::settings! {
    /// The signed API.
    pub struct Settings {
        /// Calls that one access key may make a second, on average; 0 means without limit.
        pub rate: u32 = 500,
        /// Calls that one access key may make at once.
        pub burst: u32 = 1000,
        /// Longest body of a request.
        pub body: Size = Size(1 << 20),
        /// Most nonces of one key that are remembered for the time window of 15 minutes; a key that would need more is throttled.
        pub nonces: usize = 2_000_000,
        /// The region of groups and templates that are created without one.
        pub region: String = "default".to_owned(),
        /// How long a call waits for a device's answer.
        pub device_patience: Span = Span::secs(10),
        /// Most groups of one tenant.
        pub groups: u32 = 1_000,
        /// Most devices of one group.
        pub devices: u32 = 200_000,
        /// Most streams that can be pushed to one RTMP group.
        pub streams: u32 = 200_000,
        /// Most templates of one tenant.
        pub templates: u32 = 1_000,
    }
}

crate::settings! {
    /// Signed URLs for playing and pushing.
    pub struct Playback {
        /// Whether players need a signed URL.
        pub auth: bool = true,
        /// Whether publishers need a signed URL.
        pub push_auth: bool = true,
        /// The main key of the play domain, at most 64 letters and digits. Empty: both keys are made at the first start and kept in the store.
        pub auth_key: Secret = Secret::default(),
        /// The backup key of the play domain, which opens URLs as the main key does.
        pub backup_key: Secret = Secret::default(),
        /// How long a URL opens its stream where the caller does not say.
        pub expire: Span = Span::secs(3600),
        /// How long a push URL is good; 0 means for good.
        pub push_expire: Span = Span::secs(0),
    }
}

crate::settings! {
    /// How clients reach this server from outside: what stands in the URLs that it hands out.
    pub struct Public {
        /// Host name or address of the media ports; empty means the address that this machine uses towards the network.
        pub host: String = String::new(),
        /// RTMP port in URLs; 0 means the port that is listened on.
        pub rtmp_port: u16 = 0,
        /// HTTP port in URLs; 0 means the port that is listened on.
        pub http_port: u16 = 0,
        /// Whether HTTP URLs begin with https.
        pub https: bool = false,
    }
}
