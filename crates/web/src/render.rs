//! Templates into HTML: minijinja over the GOV.UK macros (from the Python package
//! `govuk-frontend-jinja`, unedited) and our own `templates/`.
//!
//! Every GOV.UK macro (`govukButton({...})`) and every macro of `templates/macros.html` (`clause("A7")`)
//! can be called in every template without an import. A macro sees its arguments and nothing else.

use crate::assets::{TEMPLATES, asset_url};
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use minijinja::{
    AutoEscape, Environment, Error, ErrorKind, Output, State, UndefinedBehavior, Value, escape_formatter,
    value::{Rest, Serde, ValueOrKwargs},
};
use std::sync::LazyLock;

/// Our own macros, all callable everywhere.
const OWN_MACROS: &str = "macros.html";

/// The one set of templates: embedded, so it cannot be missing or change under a running server.
static ENVIRONMENT: LazyLock<Result<Environment<'static>, String>> = LazyLock::new(|| build().map_err(|e| format!("{e:#}")));

/// Renders a template by name.
///
/// # Errors
/// When the template does not exist or fails. The text names templates and lines, never what was shown.
pub fn render(name: &str, context: &Value) -> Result<String, Error> {
    environment()?.get_template(name)?.render(context.clone())
}

/// Renders one GOV.UK component (`summary-list`) with the parameters of its macro.
///
/// # Errors
/// When there is no such component or it fails.
pub fn component(name: &str, params: &Value) -> Result<String, Error> {
    let source = format!("{{{{ {}(params) }}}}", govuk_macro_name(name));
    environment()?.render_named_str("component.html", &source, minijinja::context! { params => params.clone() })
}

/// Anything serialisable as a template sees it: `context! { request => show(&request) }`.
#[must_use]
pub fn show<T: serde::Serialize>(what: &T) -> Value {
    Value::from(Serde(what))
}

/// Parses all templates now rather than on the first page.
///
/// # Errors
/// When a template does not parse: a broken build.
pub fn check() -> Result<(), Error> {
    environment().map(|_| ())
}

pub(crate) fn environment() -> Result<&'static Environment<'static>, Error> {
    ENVIRONMENT.as_ref().map_err(|words| Error::new(ErrorKind::SyntaxError, words.clone()))
}

fn build() -> Result<Environment<'static>, Error> {
    let mut env = Environment::new();
    // The GOV.UK macros ask for attributes of things that were not given, as Jinja2's ChainableUndefined allows.
    env.set_undefined_behavior(UndefinedBehavior::Chainable);
    env.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
    env.set_auto_escape_callback(|_| AutoEscape::Html);
    env.set_formatter(format);
    env.add_filter("length", |value: &Value| value.len().unwrap_or(0));
    env.add_filter("count", |value: &Value| value.len().unwrap_or(0));
    // The GOV.UK macros indent what they nest, for the beauty of the source; that would also indent every
    // line that somebody typed into a textarea.
    env.add_filter("indent", |value: Value, _: Rest<Value>| value);
    env.add_filter("date", |value: &Value| words(value, false));
    env.add_filter("datetime", |value: &Value| words(value, true));
    env.add_filter("plural", plural);
    env.add_filter("sentence", sentence);
    env.add_function("error", error_message);
    env.add_function("asset", |name: &str| asset_url(name));

    for &(name, source) in TEMPLATES {
        env.add_template(name, source)?;
        if let Some(component) = name.strip_prefix("govuk_frontend_jinja/components/").and_then(|n| n.strip_suffix("/macro.html")) {
            let macro_name = govuk_macro_name(component);
            env.add_function(macro_name.clone(), caller_of(name, macro_name));
        }
    }
    let own: Vec<String> = env.get_template(OWN_MACROS)?.render_captured(())?.state().exports().into_iter().map(str::to_owned).collect();
    for name in own {
        env.add_function(name.clone(), caller_of(OWN_MACROS, name));
    }
    Ok(env)
}

/// Writes a value into a page. Text is escaped as the HTML standard asks, and no further: minijinja would
/// also escape every `/`, which makes addresses unreadable in the source. All else is minijinja's own.
fn format(out: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    let text = match (value.as_str(), state.auto_escape()) {
        (Some(text), AutoEscape::Html) if !value.is_safe() => text,
        _ => return escape_formatter(out, state, value),
    };
    let mut from = 0;
    for (at, byte) in text.bytes().enumerate() {
        let escaped = match byte {
            b'&' => "&amp;",
            b'<' => "&lt;",
            b'>' => "&gt;",
            b'"' => "&quot;",
            b'\'' => "&#39;",
            _ => continue,
        };
        out.write_str(&text[from..at])?;
        out.write_str(escaped)?;
        from = at + 1;
    }
    Ok(out.write_str(&text[from..])?)
}

/// `notification-banner` → `govukNotificationBanner`.
pub(crate) fn govuk_macro_name(component: &str) -> String {
    component.split('-').fold("govuk".to_owned(), |mut name, part| {
        let mut letters = part.chars();
        name.extend(letters.next().map(|c| c.to_ascii_uppercase()));
        name.push_str(letters.as_str());
        name
    })
}

/// A function that calls a macro of another template.
fn caller_of(
    template: &'static str,
    macro_name: String,
) -> impl Fn(&mut State<'_, '_>, Rest<ValueOrKwargs>) -> Result<Value, Error> + Send + Sync + 'static {
    move |state, args| {
        let args = args.into_values();
        let mut inside = state.env().get_template(template)?.render_captured(())?;
        let html = inside.with_state_mut(|s| s.call_macro(&macro_name, &args))?;
        Ok(Value::from_safe_string(html))
    }
}

/// `error(errors, 'reason')`: what the GOV.UK form macros take as `errorMessage` for one field: the first
/// refusal about it, or nothing. The clauses are in the error summary.
fn error_message(errors: &Value, field: &str) -> Result<Value, Error> {
    if errors.is_undefined() {
        return Ok(Value::UNDEFINED);
    }
    for line in errors.try_iter()? {
        if line.get_attr("field")?.as_str() == Some(field) {
            return Ok(minijinja::context! { text => line.get_attr("words")? });
        }
    }
    Ok(Value::UNDEFINED)
}

/// A date (`2026-11-22`) or an instant (RFC 3339) in words, in London: `22 November 2026`,
/// `22 November 2026 at 3:07pm`. Anything else is shown as it is.
fn words(value: &Value, with_time: bool) -> String {
    let text = value.to_string();
    if let Ok(at) = text.parse::<Timestamp>() {
        let zone = TimeZone::get("Europe/London").unwrap_or(TimeZone::UTC);
        let local = at.to_zoned(zone);
        if with_time {
            return local.strftime("%-d %B %Y at %-I:%M%P").to_string();
        }
        return local.strftime("%-d %B %Y").to_string();
    }
    match text.parse::<Date>() {
        Ok(date) => date.strftime("%-d %B %Y").to_string(),
        Err(_) => text,
    }
}

/// `3|plural("request")` → `3 requests`; `1|plural("person", "people")` → `1 person`.
fn plural(count: i64, one: &str, many: Option<&str>) -> String {
    let digits = grouped(count);
    match (count, many) {
        (1, _) => format!("{digits} {one}"),
        (_, Some(many)) => format!("{digits} {many}"),
        (_, None) => format!("{digits} {one}s"),
    }
}

/// `1234567` → `1,234,567`.
fn grouped(n: i64) -> String {
    let digits = n.unsigned_abs().to_string();
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    if n < 0 { format!("-{out}") } else { out }
}

/// `["a", "b", "c"]|sentence` → `a, b and c`.
fn sentence(items: &Value) -> Result<String, Error> {
    let items: Vec<String> = items.try_iter()?.map(|v| v.to_string()).collect();
    Ok(match items.split_last() {
        None => String::new(),
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use minijinja::context;

    fn text(source: &str) -> String {
        environment().unwrap().render_str(source, context! {}).unwrap()
    }

    #[test]
    fn dates_are_london_dates_in_words() {
        assert_eq!(text("{{ '2026-06-30T23:30:00Z'|date }}"), "1 July 2026");
        assert_eq!(text("{{ '2026-11-22T15:07:00Z'|datetime }}"), "22 November 2026 at 3:07pm");
        assert_eq!(text("{{ '2026-11-05'|date }}"), "5 November 2026");
        assert_eq!(text("{{ 'not known'|date }}"), "not known");
    }

    #[test]
    fn counts_and_lists_read_as_words() {
        assert_eq!(text("{{ 1|plural('person','people') }}, {{ 100000|plural('reference') }}"), "1 person, 100,000 references");
        assert_eq!(text("{{ ['A6','A7','A8']|sentence }}"), "A6, A7 and A8");
        assert_eq!(text("{{ nothing.at.all|length }}"), "0");
    }

    #[test]
    fn each_of_our_macros_and_the_layout_render() {
        let form_fields = Value::from_function(|_: minijinja::value::Kwargs| Value::from_safe_string("<input>".into()));
        let page = render("frame-sample.html", &context! { title => "T", heading => "H", form_fields }).unwrap();
        for part in ["app-clause", "moj-timeline", "govuk-pagination", "govuk-summary-list", "app-quote", "govuk-tag--red"] {
            assert!(page.contains(part), "no {part}");
        }
        assert!(!page.contains("undefined") && !page.contains("&lt;"), "something was escaped twice or missing: {page}");
    }

    #[test]
    fn lines_typed_into_a_nested_textarea_stay_as_they_were_typed() {
        let page = text(
            "{% set inner = govukTextarea({'id': 'a', 'name': 'a', 'value': 'one\\n\\n  two\\nthree'}) %}\
             {{ govukRadios({'name': 'b', 'fieldset': {'legend': {'text': 'B'}}, 'items': [{'value': 'c', 'text': 'C', 'conditional': {'html': inner}}]}) }}",
        );
        assert!(page.contains(">one\n\n  two\nthree</textarea>"), "{page}");
    }

    #[test]
    fn what_a_person_typed_is_escaped_even_through_macros() {
        let page = text("{{ govukInsetText({'text': '<script>'}) }}{{ clause('\"><b>') }}");
        assert!(!page.contains("<script>") && !page.contains("<b>"), "{page}");
    }
}
