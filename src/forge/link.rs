//! Where a list goes on: the `Link` header, <https://www.rfc-editor.org/rfc/rfc8288#section-3>.

use reqwest::header::{HeaderMap, LINK};

/// The target of the first link with the relation `next`, as written.
pub(super) fn next(headers: &HeaderMap) -> Option<String> {
    let values = headers.get_all(LINK).iter();
    let mut texts = values.filter_map(|value| value.to_str().ok());
    texts.find_map(next_in)
}

fn next_in(header: &str) -> Option<String> {
    let mut rest = header;
    // A target may hold commas and semicolons, so what stands in angle brackets is taken first.
    loop {
        let (_, after) = rest.split_once('<')?;
        let (target, after) = after.split_once('>')?;
        let (parameters, others) = after.split_at(after.find('<').unwrap_or(after.len()));
        if parameters.split([',', ';']).any(is_next) {
            return Some(target.trim().to_owned());
        }
        rest = others;
    }
}

fn is_next(parameter: &str) -> bool {
    let Some((name, value)) = parameter.split_once('=') else {
        return false;
    };
    let mut relations = value.trim().trim_matches('"').split_ascii_whitespace();
    name.trim().eq_ignore_ascii_case("rel")
        && relations.any(|relation| relation.eq_ignore_ascii_case("next"))
}

#[cfg(test)]
mod tests {
    use super::next_in;

    #[test]
    fn the_next_page_is_found_however_it_is_written() {
        for header in [
            r#"<https://h/p?page=2>; rel="next", <https://h/p?page=9>; rel="last""#,
            r#"<https://h/p?page=0>; rel="prev", <https://h/p?page=2>;REL=next"#,
            r#"<https://h/p?page=9>; rel="last"; title="a, b", <https://h/p?page=2>; rel="up next""#,
        ] {
            assert_eq!(next_in(header).as_deref(), Some("https://h/p?page=2"));
        }
        for header in [
            "",
            "<",
            "</a>",
            "</a; rel=next",
            "rel=next",
            "<a>; rel=prev",
        ] {
            assert_eq!(next_in(header), None, "{header}");
        }
    }
}
