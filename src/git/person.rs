//! Who the person at this machine is, as git knows him.

use std::env;

use git2::Config;

use super::push::Person;

/// The author that git itself would write: from the environment, else from git's configuration.
pub(crate) fn configured_author() -> Option<Person> {
    let config = Config::open_default().ok();
    let of = |variable: &str, key: &str| {
        let told = env::var(variable).ok().filter(|text| !text.is_empty());
        told.or_else(|| config.as_ref()?.get_string(key).ok())
    };
    let name = of("GIT_AUTHOR_NAME", "user.name")?;
    let email = of("GIT_AUTHOR_EMAIL", "user.email")?;
    Some(Person { name, email })
}
