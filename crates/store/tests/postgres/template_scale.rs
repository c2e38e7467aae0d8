//! Ten thousand templates, as many in the trash and a thousand folders: no page costs much more than the first.

use std::time::{Duration, Instant};

use store::{FolderFilter, FolderReach, SortOrder, TemplateFilter, TemplateSort, TemplateState, TenantStore};

use crate::fixture::Fixture;

const SEED: &str = "
    SET CONSTRAINTS ALL DEFERRED;
    INSERT INTO template_folders (folder_id, tenant_id, name, folded_name, path, folded_path, depth, created_at, updated_at)
    SELECT md5('f' || n)::uuid, 'default', 'f' || n, 'f' || n, '/f' || n, '/f' || n, 1, now(), now() FROM generate_series(0, 9) n;
    INSERT INTO template_folders (folder_id, tenant_id, parent_id, name, folded_name, path, folded_path, depth, created_at, updated_at)
    SELECT md5('f' || n)::uuid, 'default', md5('f' || n % 10)::uuid, 'f' || n, 'f' || n, '/f' || n % 10 || '/f' || n,
           '/f' || n % 10 || '/f' || n, 2, now(), now() FROM generate_series(10, 999) n;
    INSERT INTO templates (template_id, tenant_id, template_key, name, description, tags, owner, folder_id, current_major, current_minor,
                           current_patch, created_at, updated_at, deleted_at, deleted_by)
    SELECT gen_random_uuid(), 'default', 'key-' || lpad(n::text, 5, '0'), 'Name of template ' || n, repeat('about ', 30),
           ARRAY['all', 'tag-' || n % 50], 'owner-' || n % 20, md5('f' || n % 1000)::uuid, 1, 0, 0, now() - n * interval '1 s',
           now() - (n % 977) * interval '1 s', CASE WHEN trashed THEN now() - n * interval '1 min' END, CASE WHEN trashed THEN 'ann' END
    FROM generate_series(1, 10000) n, unnest('{false,true}'::boolean[]) trashed;
    INSERT INTO template_versions (template_id, tenant_id, major, minor, patch, name, kind, definition, content_hash, created_at)
    SELECT template_id, tenant_id, 1, 0, 0, name, kind, '{}', sha256('{}'), now() FROM templates;";

/// Takes turns, so that what else the machine does falls on all alike; the median of each.
async fn medians<const N: usize>(tenant: &TenantStore, filters: [&TemplateFilter; N]) -> [Duration; N] {
    const ROUNDS: usize = 20;
    let mut times = [(); N].map(|()| Vec::with_capacity(ROUNDS));
    for _ in 0..ROUNDS {
        for (filter, times) in filters.iter().zip(&mut times) {
            let started = Instant::now();
            assert!(!tenant.templates().list(filter).await.unwrap().items.is_empty(), "{filter:?}");
            times.push(started.elapsed());
        }
    }
    times.map(|mut times| {
        times.sort_unstable();
        times[ROUNDS / 2]
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_far_from_the_beginning_costs_no_more_than_a_few_times_the_first() {
    let fixture = Fixture::new().await;
    fixture.database.query(SEED).await;
    fixture.database.query("VACUUM ANALYZE templates, template_versions, template_folders").await;
    let all = TemplateFilter::default;
    let questions = [
        ("by key", all()),
        ("by name", TemplateFilter { sort: TemplateSort::Name, ..all() }),
        ("newest first", TemplateFilter { sort: TemplateSort::UpdatedAt, order: SortOrder::Descending, ..all() }),
        ("search", TemplateFilter { q: Some("TEMPLATE".to_owned()), ..all() }),
        ("tag", TemplateFilter { tags: vec!["all".to_owned()], ..all() }),
        ("folder and below", TemplateFilter { folder: Some(FolderFilter::Path("/".parse().unwrap(), FolderReach::AllWithin)), ..all() }),
        ("trash", TemplateFilter { state: TemplateState::Deleted, sort: TemplateSort::DeletedAt, order: SortOrder::Descending, ..all() }),
        ("trash by name", TemplateFilter { state: TemplateState::Deleted, sort: TemplateSort::Name, ..all() }),
    ];
    for (name, filter) in questions {
        let at = |offset| TemplateFilter { offset, ..filter.clone() };
        let [first, middle, last] = medians(&fixture.tenant, [&at(0), &at(5_000), &at(9_950)]).await;
        println!("{name}: {first:?} at 0, {middle:?} at 5,000, {last:?} at 9,950");
        // The first page counts all matches too; the middle reads at most half of an index more. The rest is for a busy machine.
        let bound = first * 3 + Duration::from_millis(10);
        assert!(middle < bound && last < bound, "{name}: {first:?} at 0, {middle:?} at 5,000, {last:?} at 9,950");
    }
    for (name, filter) in [
        ("one tag of fifty", TemplateFilter { tags: vec!["tag-7".to_owned()], ..all() }),
        ("one folder", TemplateFilter { folder: Some(FolderFilter::Path("/f7/f17".parse().unwrap(), FolderReach::Itself)), ..all() }),
        (
            "a tenth of the tree",
            TemplateFilter { folder: Some(FolderFilter::Path("/f7".parse().unwrap(), FolderReach::AllWithin)), ..all() },
        ),
        ("owner", TemplateFilter { owner: Some("owner-7".to_owned()), ..all() }),
        ("rare search", TemplateFilter { q: Some("template 7777".to_owned()), ..all() }),
    ] {
        let [first] = medians(&fixture.tenant, [&filter]).await;
        println!("{name}: {first:?}");
    }
    let mut times = Vec::new();
    for _ in 0..20 {
        let started = Instant::now();
        assert_eq!(fixture.tenant.template_folders().list(None, 50, 950).await.unwrap().total, 1_000);
        let folders = started.elapsed();
        assert_eq!(fixture.tenant.templates().tags(None, None, 50, 0).await.unwrap().total, 51);
        times.push((folders, started.elapsed().saturating_sub(folders)));
    }
    times.sort_unstable();
    println!("a page of folders and all tags: {:?}", times[10]);
}
