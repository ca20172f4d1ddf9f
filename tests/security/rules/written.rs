// What the rules must find and what they must let pass; part of no build.
async fn by_format(client: &Client, name: &str) {
    // ruleid: sql-by-format
    client.query(&format!("SELECT '{name}'"), &[]).await;
    // ok: sql-by-format
    client.query("SELECT $1", &[&name]).await;
    // ruleid: sql-by-format
    let sql = format!("DELETE FROM {name}");
    client.batch_execute(&sql).await;
}
