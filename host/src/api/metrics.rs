use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use wasmk_agent::AgentHandle;

/// Prometheus text: what each running container uses.
pub(super) async fn metrics(State(agent): State<AgentHandle>) -> impl IntoResponse {
    let mut text = String::from(
        "# TYPE container_cpu_usage_seconds_total counter\n# TYPE container_memory_working_set_bytes gauge\n",
    );
    for pod in agent.usage().pods {
        for (container, usage) in &pod.containers {
            let labels = format!("{{namespace=\"{}\",pod=\"{}\",container=\"{container}\"}}", pod.namespace, pod.name);
            let seconds = usage.cpu_nanos as f64 / 1e9;
            text.push_str(&format!("container_cpu_usage_seconds_total{labels} {seconds}\n"));
            text.push_str(&format!("container_memory_working_set_bytes{labels} {}\n", usage.memory_bytes));
        }
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text)
}
