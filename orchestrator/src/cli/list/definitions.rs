//! What a list tells of a stored definition: a few keys, read without judging the rest.

use schemas::output::list::ListedDefinition;
use serde::Deserialize;

use crate::{
    cli::output,
    errors::{CommandError, Result},
    store::{definitions, home::Home, names::SafeName},
};

/// The keys that are told.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Told {
    version: Option<String>,
    description: Option<String>,
}

/// The stored definitions by name, or the one of that name.
pub(super) fn list(home: &Home, wanted: Option<&str>) -> Result<Vec<ListedDefinition>> {
    let names =
        definitions::list(home).map_err(|error| CommandError::from_error(error.exit_code(), &error))?;
    let wanted = names.into_iter().filter(|name| wanted.is_none_or(|wanted| wanted == name.as_str()));
    Ok(wanted.map(|name| describe(home, &name)).collect())
}

/// A file that cannot be read is told by its name alone: `validate` says what is wrong with it.
fn describe(home: &Home, name: &SafeName) -> ListedDefinition {
    let text = definitions::read(home, name).unwrap_or_default();
    let told: Told =
        serde_json::from_slice(text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&text)).unwrap_or_default();
    ListedDefinition {
        name: name.to_string(),
        version: told.version,
        description: told.description,
        path: output::shown(&home.definition(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::definitions::{Existing, write};

    #[test]
    fn broken_definitions_are_told_by_their_name() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path().to_owned());
        let texts = [
            ("good", "\u{feff}{\"version\":\"1.2.3\",\"description\":\"it works\",\"steps\":[]}"),
            ("broken", "{"),
            ("odd", "{\"version\":1}"),
        ];
        for (name, text) in texts {
            write(&home, &name.parse().unwrap(), text.as_bytes(), Existing::Keep).unwrap();
        }
        let told = |wanted| -> Vec<_> {
            let listed = list(&home, wanted).unwrap().into_iter();
            listed.map(|told| (told.name, told.version, told.description)).collect()
        };
        let good = ("good".to_owned(), Some("1.2.3".to_owned()), Some("it works".to_owned()));
        assert_eq!(
            told(None),
            [("broken".to_owned(), None, None), good.clone(), ("odd".to_owned(), None, None)]
        );
        assert_eq!(told(Some("good")), [good]);
        assert_eq!(told(Some("none")), []);
    }
}
