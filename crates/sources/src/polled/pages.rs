//! A list of shards that comes in pages.

use super::WireError;
use super::answer::AnswerDate;
use async_trait::async_trait;

/// Most pages of one list: far more shards than any stream has, a hundred or a thousand to the page.
const MOST_PAGES: usize = 10_000;

/// What lists shards page by page.
#[async_trait]
pub(crate) trait ListPages: Sync {
    /// A shard as its SDK has it.
    type Shard: Send;

    /// The page at `token`, or the first; and where the next one is, if there is one. `date` sees the answer.
    async fn page(
        &self,
        token: Option<String>,
        date: &AnswerDate,
    ) -> Result<(Vec<Self::Shard>, Option<String>), WireError>;
}

/// All shards, and when the first page was answered: what is put after the last one is put later than that.
pub(crate) async fn all_pages<L: ListPages>(of: &L) -> Result<(Vec<L::Shard>, AnswerDate), WireError> {
    let first = AnswerDate::default();
    let (mut shards, mut token) = of.page(None, &first).await?;
    for _ in 1..MOST_PAGES {
        let Some(next) = token else {
            return Ok((shards, first));
        };
        let (more, after) = of.page(Some(next), &AnswerDate::default()).await?;
        shards.extend(more);
        token = after;
    }
    // A part of the shards would be read as if it were all of them.
    match token {
        None => Ok((shards, first)),
        Some(_) => Err(WireError::Failed(format!(
            "the list of shards has more than {MOST_PAGES} pages"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many pages of one shard each, numbered from 0.
    struct Numbers(usize);

    #[async_trait]
    impl ListPages for Numbers {
        type Shard = usize;

        async fn page(
            &self,
            token: Option<String>,
            _: &AnswerDate,
        ) -> Result<(Vec<usize>, Option<String>), WireError> {
            let page = token.map_or(0, |token| token.parse().unwrap());
            let next = (page + 1 < self.0).then(|| (page + 1).to_string());
            Ok((vec![page], next))
        }
    }

    #[tokio::test]
    async fn a_list_is_read_to_its_end_or_not_at_all() {
        for pages in [1, 2, MOST_PAGES] {
            let (shards, _) = all_pages(&Numbers(pages)).await.unwrap();
            assert_eq!(shards, (0..pages).collect::<Vec<_>>());
        }
        let Err(e) = all_pages(&Numbers(MOST_PAGES + 1)).await else {
            panic!("a part was taken for the whole")
        };
        assert_eq!(
            e,
            WireError::Failed("the list of shards has more than 10000 pages".to_owned())
        );
    }
}
