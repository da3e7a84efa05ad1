//! The `Link` header: where a listing goes on. Grammar: <https://www.rfc-editor.org/rfc/rfc8288#section-3>.

use reqwest::header::{HeaderMap, LINK};

/// The target of the first link with the relation `next`, as written.
pub(super) fn next(headers: &HeaderMap) -> Option<String> {
    let values = headers.get_all(LINK).iter();
    values
        .filter_map(|value| value.to_str().ok())
        .find_map(next_in)
}

fn next_in(header: &str) -> Option<String> {
    let mut rest = header;
    // A target may hold commas and semicolons, so the angle brackets lead.
    while let Some((_, after)) = rest.split_once('<') {
        let (target, after) = after.split_once('>')?;
        let end = after.find('<').unwrap_or(after.len());
        let (parameters, others) = after.split_at(end);
        if parameters.split([',', ';']).any(is_next) {
            return Some(target.trim().to_owned());
        }
        rest = others;
    }
    None
}

/// Whether a parameter is `rel=next`, quoted or not, alone or among several relations.
fn is_next(parameter: &str) -> bool {
    let Some((name, value)) = parameter.split_once('=') else {
        return false;
    };
    name.trim().eq_ignore_ascii_case("rel")
        && value
            .trim()
            .trim_matches('"')
            .split_ascii_whitespace()
            .any(|relation| relation.eq_ignore_ascii_case("next"))
}

#[cfg(test)]
mod tests {
    use super::next_in;

    #[test]
    fn the_next_page_is_found_however_it_is_written() {
        for header in [
            r#"</v2/a/tags/list?last=x&n=2>; rel="next""#,
            "</v2/a/tags/list?last=x&n=2>;rel=next",
            r#"</first>; rel="first", </v2/a/tags/list?last=x&n=2>; title="a, b"; REL="last next""#,
        ] {
            assert_eq!(
                next_in(header).as_deref(),
                Some("/v2/a/tags/list?last=x&n=2"),
                "{header}"
            );
        }
    }

    #[test]
    fn other_relations_and_broken_headers_lead_nowhere() {
        for header in ["", "</a>", "</a>; rel=prev", "</a; rel=next", "rel=next"] {
            assert_eq!(next_in(header), None, "{header}");
        }
    }
}
