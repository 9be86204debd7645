//! Which way requests may come, as the environment says.

use backbone::front_door::{FrontDoor, OriginSecret};

use crate::settings::{ALLOW_DIRECT, ORIGIN_SECRET, Settings, SettingsError};

/// Reads whether requests must come through the front door, and what it proves itself with.
///
/// # Errors
///
/// If a setting cannot be used.
pub fn front_door(settings: &Settings) -> Result<FrontDoor, SettingsError> {
    let unusable = |name, expected| SettingsError::Unusable { name, expected };
    match settings.text(ALLOW_DIRECT)? {
        "yes" => Ok(FrontDoor::Optional),
        "no" => OriginSecret::new(settings.text(ORIGIN_SECRET)?)
            .map(FrontDoor::Required)
            .ok_or(unusable(ORIGIN_SECRET, "a secret of 32 characters or more")),
        _ => Err(unusable(ALLOW_DIRECT, "yes or no")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(allow_direct: &str, secret: &str) -> Result<FrontDoor, String> {
        let env = |name: &str| {
            let value = match name {
                ALLOW_DIRECT => allow_direct,
                ORIGIN_SECRET => secret,
                _ => "x",
            };
            Some(value.to_owned())
        };
        let settings = Settings::from_env(&env, &[ALLOW_DIRECT, ORIGIN_SECRET]).unwrap();
        front_door(&settings).map_err(|error| error.to_string())
    }

    #[test]
    fn a_secret_is_needed_where_nobody_may_come_around() {
        let secret = "s".repeat(32);
        assert!(matches!(read("no", &secret), Ok(FrontDoor::Required(_))));
        assert!(matches!(read("yes", "none"), Ok(FrontDoor::Optional)));
        let error = read("no", "none").unwrap_err();
        assert_eq!(error, "environment variable ORIGIN_SECRET is not a secret of 32 characters or more");
        assert!(read("maybe", &secret).is_err());
    }
}
