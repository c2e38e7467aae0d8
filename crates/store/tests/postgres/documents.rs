//! Stored documents: counted exactly, found by what was said of them, and gone when their time is over.

use std::collections::BTreeSet;

use domain::Actor;
use domain::documents::{DocumentName, DocumentSource};
use domain::ids::JobId;
use domain::options::Disposition;
use domain::usage::UsageMetadata;
use jiff::SignedDuration;
use store::{DocumentFilter, DocumentRecord, DownloadOutcome, NewDocument, StoreDocumentOutcome, TenantStore};

use crate::fixture::{Fixture, NOBODY, by};

/// What a test says of a document; the rest is always the same.
pub fn new<'a>(name: &'a DocumentName, metadata: &'a UsageMetadata) -> NewDocument<'a> {
    NewDocument {
        format: "pdf",
        content_type: "application/pdf",
        filename: name,
        disposition: Disposition::Attachment,
        sha256: [9; 32],
        size_bytes: 1_000,
        pages: Some(2),
        source: DocumentSource::Single,
        template: None,
        version: None,
        label: None,
        item: None,
        usage_id: None,
        metadata,
        max_downloads: None,
        life_seconds: 3_600,
    }
}

async fn stored(tenant: &TenantStore, new: NewDocument<'_>, actor: &Actor) -> DocumentRecord {
    match tenant.documents().insert(new, actor).await.unwrap() {
        StoreDocumentOutcome::Stored(record) => *record,
        StoreDocumentOutcome::Full(standing) => panic!("no room: {standing:?}"),
    }
}

pub async fn put_document(tenant: &TenantStore, max_downloads: Option<u32>) -> DocumentRecord {
    let (name, words) = (DocumentName::of("letter", "pdf"), UsageMetadata::of([("order".to_owned(), "7".to_owned())]));
    stored(tenant, NewDocument { max_downloads, ..new(&name, &words) }, &NOBODY).await
}

#[tokio::test]
async fn a_document_reads_back_as_it_was_stored_and_of_no_other_tenant() {
    let fixture = Fixture::new().await;
    let tenant = fixture.tenant.clone();
    let (name, words) = (DocumentName::of("Rechnung 7", "pdf"), UsageMetadata::of([("order".to_owned(), "7".to_owned())]));
    let key = "invoice".parse().unwrap();
    let job = JobId::generate();
    let whole = NewDocument {
        template: Some(&key),
        version: Some("1.0.3".parse().unwrap()),
        label: Some("prod"),
        item: Some((job, 3)),
        source: DocumentSource::AsyncBatch,
        max_downloads: Some(5),
        ..new(&name, &words)
    };
    let made = stored(&tenant, whole, &by("ann")).await;
    assert_eq!(tenant.documents().get(made.id).await.unwrap(), Some(made.clone()));
    assert_eq!((made.filename.as_str(), made.actor.as_str(), made.download_count, made.link_version), ("Rechnung 7.pdf", "ann", 0, 1));
    assert_eq!((made.template.as_deref(), made.version.as_deref(), made.label.as_deref()), (Some("invoice"), Some("1.0.3"), Some("prod")));
    assert_eq!((made.item, made.max_downloads, made.metadata.clone()), (Some((job, 3)), Some(5), words.clone()));
    assert_eq!(made.expires_at.duration_since(made.created_at), SignedDuration::from_hours(1));
    let other = fixture.store.tenant("elsewhere".parse().unwrap());
    assert_eq!(other.documents().get(made.id).await.unwrap(), None);
    assert_eq!(other.documents().count_download(made.id, None).await.unwrap(), DownloadOutcome::Gone);
    assert_eq!(other.documents().known(&[made.sha256]).await.unwrap(), [[0; 32]; 0]);
    assert_eq!(tenant.documents().known(&[made.sha256, [1; 32]]).await.unwrap(), [made.sha256]);

    // Another attempt at the same item of the job: the first one stays.
    let again = stored(&tenant, NewDocument { sha256: [8; 32], ..whole }, &by("ann")).await;
    assert_eq!(again, made);
    assert_ne!(stored(&tenant, NewDocument { item: Some((job, 4)), ..whole }, &by("ann")).await.id, made.id);
    assert_eq!(tenant.documents().list(&DocumentFilter::default(), 10, 0).await.unwrap().total, 2);
}

#[tokio::test]
async fn of_many_who_fetch_at_once_as_many_get_it_as_may() {
    let fixture = Fixture::new().await;
    let tenant = fixture.tenant.clone();
    let made = put_document(&tenant, Some(7)).await;
    let mut asked = tokio::task::JoinSet::new();
    for _ in 0..40 {
        let tenant = tenant.clone();
        asked.spawn(async move { tenant.documents().count_download(made.id, Some(1)).await.unwrap() });
    }
    let outcomes = asked.join_all().await;
    let counts: Vec<u32> = outcomes
        .iter()
        .filter_map(|outcome| if let DownloadOutcome::Counted(record) = outcome { Some(record.download_count) } else { None })
        .collect();
    assert_eq!(counts.len(), 7);
    assert_eq!(counts.into_iter().collect::<BTreeSet<_>>(), (1..=7).collect(), "no two took the same");
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == DownloadOutcome::Exhausted).count(), 33);

    assert!(tenant.documents().give_download_back(made.id).await.unwrap());
    assert!(matches!(tenant.documents().count_download(made.id, None).await.unwrap(), DownloadOutcome::Counted(_)));
    assert_eq!(tenant.documents().count_download(made.id, None).await.unwrap(), DownloadOutcome::Exhausted);
}

#[tokio::test]
async fn revoked_links_are_told_from_used_up_and_removed_documents_and_each_change_is_in_the_audit_log() {
    let fixture = Fixture::new().await;
    let tenant = fixture.tenant.clone();
    let made = put_document(&tenant, None).await;
    let documents = tenant.documents();
    assert!(documents.record_link(&made, made.expires_at, &by("ann")).await.unwrap());
    assert_eq!(documents.revoke_links(made.id, &by("ann")).await.unwrap(), Some(2));
    assert_eq!(documents.count_download(made.id, Some(1)).await.unwrap(), DownloadOutcome::Revoked);
    assert!(!documents.record_link(&made, made.expires_at, &by("ann")).await.unwrap(), "what was read before is old");
    assert!(matches!(documents.count_download(made.id, Some(2)).await.unwrap(), DownloadOutcome::Counted(_)));
    assert!(documents.delete(made.id, &by("ann")).await.unwrap());
    assert!(!documents.delete(made.id, &by("ann")).await.unwrap());
    assert_eq!(documents.revoke_links(made.id, &by("ann")).await.unwrap(), None);
    assert_eq!(documents.count_download(made.id, Some(2)).await.unwrap(), DownloadOutcome::Gone);
    let log = tenant.audit().list(&store::AuditFilter::default(), 10, 0).await.unwrap().items;
    let events: Vec<&str> = log.iter().rev().map(|event| event.event.as_str()).collect();
    assert_eq!(events, ["document.stored", "document.link-created", "document.links-revoked", "document.deleted"]);
}

#[tokio::test]
async fn the_list_is_filtered_by_everything_that_is_known_and_its_pages_fit_together() {
    let fixture = Fixture::new().await;
    let tenant = fixture.tenant.clone();
    let key = |text: &str| text.parse::<domain::templates::TemplateKey>().unwrap();
    let (invoice, letter) = (key("invoice-de"), key("letter"));
    let name = DocumentName::of("x", "pdf");
    for number in 0..7_u32 {
        let words = UsageMetadata::of([("number".to_owned(), number.to_string()), ("kind".to_owned(), "test".to_owned())]);
        let template = match number {
            0..3 => Some(&invoice),
            3..5 => Some(&letter),
            _ => None,
        };
        let format = if number == 6 { "html" } else { "pdf" };
        let actor = if number % 2 == 0 { "ann" } else { "bob" };
        stored(&tenant, NewDocument { template, format, ..new(&name, &words) }, &by(actor)).await;
    }
    let numbers = async |filter: DocumentFilter, limit, offset| {
        let page = tenant.documents().list(&filter, limit, offset).await.unwrap();
        let numbers: Vec<String> =
            page.items.iter().map(|item| item.metadata.iter().find(|(name, _)| *name == "number").unwrap().1.to_owned()).collect();
        (numbers.concat(), page.total)
    };
    let of = |numbers: &str, total| (numbers.to_owned(), total);
    assert_eq!(numbers(DocumentFilter::default(), 50, 0).await, of("6543210", 7));
    assert_eq!(numbers(DocumentFilter::default(), 3, 0).await, of("654", 7));
    assert_eq!(numbers(DocumentFilter::default(), 3, 3).await, of("321", 7));
    assert_eq!(numbers(DocumentFilter::default(), 3, 6).await, of("0", 7));
    assert_eq!(numbers(DocumentFilter::default(), 3, 7).await, of("", 7));
    assert_eq!(numbers(DocumentFilter { template: Some("letter".to_owned()), ..DocumentFilter::default() }, 50, 0).await, of("43", 2));
    assert_eq!(numbers(DocumentFilter { format: Some("html".to_owned()), ..DocumentFilter::default() }, 50, 0).await, of("6", 1));
    assert_eq!(numbers(DocumentFilter { actor: Some("bob".to_owned()), ..DocumentFilter::default() }, 50, 0).await, of("531", 3));
    let words = UsageMetadata::of([("number".to_owned(), "4".to_owned()), ("kind".to_owned(), "test".to_owned())]);
    assert_eq!(numbers(DocumentFilter { metadata: words, ..DocumentFilter::default() }, 50, 0).await, of("4", 1));
    let reached = Some(vec!["invoice-*".parse().unwrap()]);
    assert_eq!(numbers(DocumentFilter { reached, ..DocumentFilter::default() }, 50, 0).await, of("210", 3), "and none without a template");
    let source = Some(DocumentSource::Batch);
    assert_eq!(numbers(DocumentFilter { source, ..DocumentFilter::default() }, 50, 0).await, of("", 0));
    let from = Some(domain::Clock::system().now() + SignedDuration::from_hours(1));
    assert_eq!(numbers(DocumentFilter { from, ..DocumentFilter::default() }, 50, 0).await, of("", 0));
    assert_eq!(numbers(DocumentFilter { to: from, ..DocumentFilter::default() }, 2, 0).await, of("65", 7));
}

#[tokio::test]
async fn what_is_over_is_not_there_and_is_removed_in_pieces_in_archived_tenants_too() {
    let fixture = Fixture::new().await;
    let tenant = fixture.tenant.clone();
    let (first, second) = (put_document(&tenant, None).await, put_document(&tenant, None).await);
    let stays = put_document(&tenant, None).await;
    for over in [first.id, second.id] {
        let sql = format!(
            "UPDATE documents SET created_at = now() - interval '2 days', expires_at = now() - interval '1 day' WHERE document_id = '{over}'"
        );
        fixture.database.query(&sql).await;
    }
    let documents = tenant.documents();
    assert_eq!(documents.get(first.id).await.unwrap(), None);
    assert_eq!(documents.count_download(first.id, None).await.unwrap(), DownloadOutcome::Gone);
    assert!(!documents.delete(first.id, &NOBODY).await.unwrap());
    assert_eq!(documents.list(&DocumentFilter::default(), 10, 0).await.unwrap().total, 1);

    let now = domain::Clock::system().now();
    assert_eq!(fixture.store.tenants_with_expired_documents(now).await.unwrap(), [tenant.tenant_id().clone()]);
    fixture.database.query("UPDATE tenants SET status = 'archived', archived_at = now()").await;
    for left in [1, 1, 0] {
        assert_eq!(documents.delete_expired(now, 1, &NOBODY).await.unwrap(), left);
    }
    assert!(fixture.store.tenants_with_expired_documents(now).await.unwrap().is_empty());
    assert!(documents.get(stays.id).await.unwrap().is_some());
}
