//! Where a caller wants its files: vendor, region and bucket, turned into an S3-compatible end point.

use crate::base::pii::Secret;
use crate::model::template::Storage;
use serde_json::Value;

/// The longest prefix of file names, with its strokes.
const PREFIX_MAX: usize = 128;

/// `storageConfig`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bucket {
    vendor: i64,
    region: i64,
    name: String,
    endpoint: Option<String>,
    pub(super) key: String,
    pub(super) secret: Secret,
    /// What file names begin with; empty, or ending with a stroke.
    pub(super) prefix: String,
}

/// Regions of Amazon S3, by their numbers in the interface, with the region of acquire in which they lie.
const AMAZON: [(&str, &str); 15] = [
    ("us-east-1", "NA"),
    ("us-east-2", "NA"),
    ("us-west-1", "NA"),
    ("us-west-2", "NA"),
    ("eu-west-1", "EU"),
    ("eu-west-2", "EU"),
    ("eu-west-3", "EU"),
    ("eu-central-1", "EU"),
    ("ap-southeast-1", "AP"),
    ("ap-southeast-2", "AP"),
    ("ap-northeast-1", "AP"),
    ("ap-northeast-2", "AP"),
    ("sa-east-1", "NA"),
    ("ca-central-1", "NA"),
    ("ap-south-1", "AP"),
];

/// Regions of Alibaba Cloud OSS, likewise.
const ALIBABA: [(&str, &str); 18] = [
    ("cn-hangzhou", "CN"),
    ("cn-shanghai", "CN"),
    ("cn-qingdao", "CN"),
    ("cn-beijing", "CN"),
    ("cn-zhangjiakou", "CN"),
    ("cn-huhehaote", "CN"),
    ("cn-shenzhen", "CN"),
    ("cn-hongkong", "AP"),
    ("us-west-1", "NA"),
    ("us-east-1", "NA"),
    ("ap-southeast-1", "AP"),
    ("ap-southeast-2", "AP"),
    ("ap-southeast-3", "AP"),
    ("ap-southeast-5", "AP"),
    ("ap-northeast-1", "AP"),
    ("ap-south-1", "AP"),
    ("eu-central-1", "EU"),
    ("eu-west-1", "EU"),
];

impl Bucket {
    /// Reads and checks it.
    pub(super) fn read(config: &Value) -> Result<Bucket, String> {
        if !config.is_object() {
            return Err("storageConfig must be a JSON object".to_owned());
        }
        let number =
            |name: &str| config[name].as_i64().filter(|n| (0..=1000).contains(n)).ok_or(format!("storageConfig.{name} must be a number"));
        let text = |name: &str, most: usize| {
            let text = config[name].as_str().unwrap_or_default();
            let fits = !text.is_empty() && text.len() <= most && !text.chars().any(char::is_control);
            if fits { Ok(text.to_owned()) } else { Err(format!("storageConfig.{name} must be 1 to {most} bytes long")) }
        };
        let name = text("bucket", 255)?;
        if !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)) || name.starts_with('.') {
            return Err("storageConfig.bucket must be letters, digits, '-', '_' and '.'".to_owned());
        }
        let prefix = match &config["fileNamePrefix"] {
            Value::Null => String::new(),
            Value::Array(parts) => {
                let part = |part: &Value| {
                    part.as_str().filter(|p| !p.is_empty() && p.bytes().all(|b| b.is_ascii_alphanumeric())).map(|p| format!("{p}/"))
                };
                let whole: Option<String> = parts.iter().map(part).collect();
                let wrong = "storageConfig.fileNamePrefix must be a list of letters and digits, 128 characters at most";
                whole.filter(|prefix| prefix.len() <= PREFIX_MAX).ok_or(wrong)?
            }
            _ => return Err("storageConfig.fileNamePrefix must be a list".to_owned()),
        };
        let endpoint = config["extensionParams"]["endpoint"].as_str().map(str::to_owned);
        Ok(Bucket {
            vendor: number("vendor")?,
            region: number("region")?,
            name,
            endpoint,
            key: text("accessKey", 256)?,
            secret: Secret(text("secretKey", 256)?),
            prefix,
        })
    }

    fn known(&self) -> Option<(&'static str, &'static str)> {
        let at = usize::try_from(self.region).ok()?;
        match self.vendor {
            1 => AMAZON.get(at).copied(),
            2 => ALIBABA.get(at).copied(),
            _ => None,
        }
    }

    /// The place; `configured`: the end point that all recordings go to, if the operator has set one.
    pub(super) fn place(&self, configured: &str) -> Result<Storage, String> {
        let region = self.known().map_or_else(String::new, |(region, _)| region.to_owned());
        let endpoint = match (configured, self.vendor) {
            ("", 1) => format!("https://s3.{region}.amazonaws.com"),
            ("", 2) => format!("https://oss-{region}.aliyuncs.com"),
            ("", 11) => {
                let url = self.endpoint.clone().unwrap_or_default();
                let host = url.strip_prefix("https://").or(url.strip_prefix("http://")).unwrap_or_default();
                let fits =
                    !host.is_empty() && url.len() <= 255 && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.:[]/".contains(&b));
                if !fits {
                    return Err("storageConfig.extensionParams.endpoint must be the URL of an S3-compatible storage".to_owned());
                }
                url
            }
            ("", _) => {
                return Err("storageConfig.vendor is not supported: 1, 2, or 11 with extensionParams.endpoint, or ask the operator for cloud.endpoint".to_owned());
            }
            (configured, _) => configured.to_owned(),
        };
        if configured.is_empty() && region.is_empty() && self.vendor != 11 {
            return Err("storageConfig.region is not known".to_owned());
        }
        Ok(Storage { region, bucket: self.name.clone(), endpoint })
    }
}

/// Whether a bucket lies in the region of acquire; where it is not known, it does.
pub(super) fn fits(bucket: &Bucket, region: Option<&str>) -> bool {
    match (bucket.known(), region) {
        (Some((_, lies)), Some(region)) => lies == region,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn config() -> Value {
        json!({"vendor": 2, "region": 3, "bucket": "b", "accessKey": "k", "secretKey": "s", "fileNamePrefix": ["a1", "B2"]})
    }

    #[test]
    fn places_are_found_or_refused() {
        let bucket = Bucket::read(&config()).unwrap();
        assert_eq!(bucket.prefix, "a1/B2/");
        let place = bucket.place("").unwrap();
        assert_eq!(
            (place.endpoint.as_str(), place.bucket.as_str(), place.region.as_str()),
            ("https://oss-cn-beijing.aliyuncs.com", "b", "cn-beijing")
        );
        assert_eq!(bucket.place("http://127.0.0.1:9000").unwrap().endpoint, "http://127.0.0.1:9000");
        assert!(fits(&bucket, Some("CN")) && fits(&bucket, None) && !fits(&bucket, Some("EU")));
        let with = |name: &str, value: Value| {
            let mut config = config();
            config[name] = value;
            Bucket::read(&config)
        };
        assert_eq!(with("vendor", json!(1)).unwrap().place("").unwrap().endpoint, "https://s3.us-west-2.amazonaws.com");
        assert!(with("region", json!(99)).unwrap().place("").unwrap_err().contains("region"));
        assert!(with("vendor", json!(6)).unwrap().place("").unwrap_err().contains("vendor"));
        let own = |endpoint: &str| {
            let mut config = config();
            config["vendor"] = json!(11);
            config["extensionParams"] = json!({ "endpoint": endpoint });
            Bucket::read(&config).unwrap().place("")
        };
        assert_eq!(own("http://127.0.0.1:9000").unwrap().endpoint, "http://127.0.0.1:9000");
        for wrong in ["", "ftp://a", "http://", "http://a b", "http://u@h"] {
            assert!(own(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (name, values) in [
            ("vendor", vec![json!(null), json!("1"), json!(-1)]),
            ("region", vec![json!(null), json!(1.5)]),
            ("bucket", vec![json!(null), json!(""), json!("a/b"), json!("../x"), json!(7)]),
            ("accessKey", vec![json!(null), json!(""), json!("a\nb")]),
            ("secretKey", vec![json!(null), json!("x".repeat(300))]),
            ("fileNamePrefix", vec![json!("a"), json!(["a/b"]), json!([""]), json!([1]), json!(vec!["x".repeat(43); 3])]),
        ] {
            for value in values {
                let mut config = config();
                config[name] = value.clone();
                assert!(Bucket::read(&config).unwrap_err().contains(name), "{name} {value}");
            }
        }
    }
}
