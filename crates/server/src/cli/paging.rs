//! Lists come in pages; people want them whole, within reason.

use super::error::CliError;

/// Largest page the API gives.
pub(crate) const PAGE: i32 = 100;

/// One page: its items and where the next starts, empty after the last.
pub(crate) type Page<T> = (Vec<T>, String);

/// Items of all pages, at most `limit` (0: all), and whether there are more.
///
/// # Errors
/// Of the first page that fails.
pub(crate) async fn collect<T, F, Fut>(limit: usize, mut page: F) -> Result<(Vec<T>, bool), CliError>
where
    F: FnMut(String) -> Fut,
    Fut: Future<Output = Result<Page<T>, CliError>>,
{
    let (mut items, mut token) = (Vec::new(), String::new());
    loop {
        let (next, after) = page(token).await?;
        items.extend(next);
        if limit != 0 && items.len() > limit {
            items.truncate(limit);
            return Ok((items, true));
        }
        if after.is_empty() {
            return Ok((items, false));
        }
        if limit != 0 && items.len() == limit {
            return Ok((items, true));
        }
        token = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn pages_are_joined_up_to_the_limit() {
        let pages = |token: String| async move {
            Ok::<_, CliError>(match token.as_str() {
                "" => (vec![1, 2], "b".to_owned()),
                "b" => (vec![3, 4], "c".to_owned()),
                _ => (vec![5], String::new()),
            })
        };
        for (limit, want, more) in [
            (0, vec![1, 2, 3, 4, 5], false),
            (2, vec![1, 2], true),
            (3, vec![1, 2, 3], true),
            (5, vec![1, 2, 3, 4, 5], false),
        ] {
            assert_eq!(collect(limit, pages).await.unwrap(), (want, more));
        }
    }
}
