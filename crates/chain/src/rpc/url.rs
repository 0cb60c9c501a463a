//! The address of an endpoint, which may carry an API key.

use core::fmt;
use core::str::FromStr;

/// An HTTP or WebSocket URL that prints as scheme, host and port only: path, query and user may hold an API key.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RpcUrl(reqwest::Url);

/// Not an endpoint. Does not repeat the text, which may hold a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RpcUrlError {
    /// No URL at all.
    #[error("is not a URL")]
    Malformed,
    /// Another scheme.
    #[error("has scheme {0:?}, expected http, https, ws or wss")]
    Scheme(String),
    /// Nobody to talk to.
    #[error("has no host")]
    NoHost,
}

impl RpcUrl {
    /// The whole of it, for the request itself.
    pub(crate) fn full(&self) -> &reqwest::Url {
        &self.0
    }

    /// True if it is a node on this machine.
    pub fn is_local(&self) -> bool {
        let host = self.0.host_str().unwrap_or_default();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || bare.parse::<core::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }

    /// True if it is spoken to over a WebSocket.
    pub(crate) fn is_socket(&self) -> bool {
        matches!(self.0.scheme(), "ws" | "wss")
    }
}

impl FromStr for RpcUrl {
    type Err = RpcUrlError;

    fn from_str(text: &str) -> Result<Self, RpcUrlError> {
        let url: reqwest::Url = text.trim().parse().map_err(|_| RpcUrlError::Malformed)?;
        if !matches!(url.scheme(), "http" | "https" | "ws" | "wss") {
            return Err(RpcUrlError::Scheme(url.scheme().to_owned()));
        }
        if url.host_str().is_none_or(str::is_empty) {
            return Err(RpcUrlError::NoHost);
        }
        Ok(Self(url))
    }
}

impl fmt::Display for RpcUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.0.scheme(), self.0.host_str().unwrap_or_default())?;
        self.0.port().map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

impl fmt::Debug for RpcUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_scheme_host_and_port_are_printed() {
        let url: RpcUrl = "https://me:pass@rpc.example:8443/v2/KEY?token=KEY".parse().unwrap();
        assert_eq!(format!("{url} {url:?}"), "https://rpc.example:8443 https://rpc.example:8443");
    }

    #[test]
    fn what_is_no_endpoint_is_refused() {
        assert_eq!("sepolia.base.org".parse::<RpcUrl>(), Err(RpcUrlError::Malformed));
        assert_eq!("ftp://x.org".parse::<RpcUrl>(), Err(RpcUrlError::Scheme("ftp".to_owned())));
        assert!("wss://x.org".parse::<RpcUrl>().unwrap().is_socket());
        assert!(!"https://x.org".parse::<RpcUrl>().unwrap().is_socket());
    }
}
