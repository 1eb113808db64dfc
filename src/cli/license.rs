//! `weir license`: sells licenses and their extensions, and shows what was sold; the API's actions in other words.

use super::api;
use clap::Subcommand;

/// The arguments of `weir license`.
#[derive(clap::Args, Debug, Clone)]
pub struct Args {
    #[command(subcommand)]
    what: What,
    /// Where the server is; this machine's own by default.
    #[arg(long, global = true, env = "WEIR_URL", value_name = "URL")]
    url: Option<String>,
    /// The access key to sign with; the local server's root key by default.
    #[arg(long, global = true, env = "WEIR_ACCESS_KEY_ID", value_name = "ID")]
    key: Option<String>,
    /// Its secret.
    #[arg(long, global = true, env = "WEIR_ACCESS_KEY_SECRET", hide_env_values = true, value_name = "SECRET")]
    secret: Option<String>,
}

#[derive(Subcommand, Debug, Clone)]
enum What {
    /// Sell licenses of a new product; prints its Pid.
    Product {
        /// The tenant that buys them; the operator itself by default.
        #[arg(long, value_name = "USER")]
        user: Option<String>,
        /// The name of what they allow.
        #[arg(long)]
        name: String,
        /// Days that a license is good once it is activated.
        #[arg(long)]
        days: u32,
        /// How many.
        #[arg(long)]
        quantity: u32,
        /// They are for trial.
        #[arg(long)]
        trial: bool,
    },
    /// Sell extensions of licenses of a product; prints their RenewId.
    Renewal {
        /// The product.
        #[arg(long)]
        pid: String,
        /// Days that a license is good longer.
        #[arg(long)]
        days: u32,
        /// How many licenses can be extended.
        #[arg(long)]
        quantity: u32,
    },
    /// List the products that were sold.
    Products,
    /// List the licenses that are activated.
    List {
        /// Only those of this product.
        #[arg(long)]
        pid: Option<String>,
    },
}

impl Args {
    /// The call of the API that this means.
    pub fn call(self) -> api::Args {
        let pair = |name: &str, value: String| (name.to_owned(), value);
        let (action, parameters) = match self.what {
            What::Product { user, name, days, quantity, trial } => {
                let mut pairs = vec![pair("Name", name), pair("Validity", days.to_string()), pair("Quantity", quantity.to_string())];
                pairs.extend(user.map(|user| pair("UserId", user)));
                pairs.push(pair("Type", if trial { "2" } else { "1" }.to_owned()));
                ("CreateLicenseProduct", pairs)
            }
            What::Renewal { pid, days, quantity } => {
                let pairs = vec![pair("Pid", pid), pair("Validity", days.to_string()), pair("Quantity", quantity.to_string())];
                ("CreateLicenseRenewal", pairs)
            }
            What::Products => ("DescribeLicenseProducts", vec![pair("PageSize", "100".to_owned())]),
            What::List { pid } => {
                ("DescribeLicenses", pid.map(|pid| pair("Pid", pid)).into_iter().chain([pair("PageSize", "100".to_owned())]).collect())
            }
        };
        api::Args { action: action.to_owned(), parameters, url: self.url, key: self.key, secret: self.secret }
    }
}
