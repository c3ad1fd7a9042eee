{{/* Settings of a program as variables. Takes a dict of root, name, program and settings. */}}
{{- define "tasuki.env" -}}
{{- $root := .root -}}
{{- $v := .root.Values -}}
{{- $name := .name -}}
{{- $programs := include "tasuki.programs" . | fromYaml -}}
{{- $department := ne .name "gateway" -}}
- {name: TASUKI_LISTEN, value: "0.0.0.0:{{ .program.port }}"}
- {name: TASUKI_LOG_LEVEL, value: {{ $v.log.level }}}
- {name: TASUKI_LOG_FORMAT, value: {{ $v.log.format }}}
- {name: TASUKI_SHUTDOWN_DRAIN, value: {{ $v.shutdown.drainSeconds }}s}
- {name: TASUKI_SHUTDOWN_TIMEOUT, value: {{ $v.shutdown.partSeconds }}s}
{{- if or $department $v.apiKeys.enabled }}
{{ include "tasuki.patience" . }}
{{- end }}
{{- $calls := $root.Files.Get "files/calls.yaml" | fromYaml }}
{{- range index $calls $name }}
{{- $peer := index $programs . }}
- name: TASUKI_PEER_{{ $peer.department | replace "-" "_" | upper }}
  value: dns:///{{ include "tasuki.fullname" $root }}-{{ . }}:{{ $peer.port }}
{{- end }}
{{- if $v.production }}
- {name: TASUKI_PRODUCTION, value: "true"}
{{- else }}
- {name: TASUKI_AUTH_KEY_FILE, value: /var/run/secrets/tasuki/issuer/issuer.key}
{{- end }}
{{- with $v.auth.issuer }}
- {name: TASUKI_AUTH_ISSUER, value: {{ . | quote }}}
{{- end }}
- {name: TASUKI_AUTH_AUDIENCE, value: {{ join "," $v.auth.audience | quote }}}
{{- with $v.auth.rolesClaim }}
- {name: TASUKI_AUTH_ROLES_CLAIM, value: {{ join "," . | quote }}}
{{- end }}
{{- with $v.auth.roleMap }}
{{- $pairs := list }}
{{- range $value, $roles := . }}{{ $pairs = append $pairs (printf "%s=%s" $value (join "," $roles)) }}{{ end }}
- {name: TASUKI_AUTH_ROLE_MAP, value: {{ join ";" $pairs | quote }}}
{{- end }}
{{- with $v.auth.userClaim }}
- {name: TASUKI_AUTH_USER_CLAIM, value: {{ . | quote }}}
{{- end }}
{{- with $v.auth.nameClaim }}
- {name: TASUKI_AUTH_NAME_CLAIM, value: {{ . | quote }}}
{{- end }}
{{- if $v.auth.caConfigMap }}
- {name: TASUKI_AUTH_CA, value: /var/run/secrets/tasuki/issuer-ca/ca.crt}
{{- end }}
{{- if and $v.apiKeys.enabled $v.apiKeys.machineKeySecret }}
- {name: TASUKI_AUTH_MACHINE_KEY_FILE, value: /var/run/secrets/tasuki/machine/{{ ternary "machine.pub" "machine.key" $department }}}
{{- end }}
{{- if $department }}
{{- $accounts := list }}
{{- range $other, $p := $programs }}
{{- if $p.department }}{{ $accounts = append $accounts (printf "%s/%s-%s=%s" $root.Release.Namespace (include "tasuki.fullname" $root) $other $p.department) }}{{ end }}
{{- end }}
- {name: TASUKI_AUTH_SERVICE_TOKEN_FILE, value: /var/run/secrets/tasuki/identity/token}
- {name: TASUKI_AUTH_KUBERNETES_ACCOUNTS, value: {{ join ";" $accounts | quote }}}
- {name: TASUKI_AUTH_KUBERNETES_CA, value: /var/run/secrets/tasuki/identity/ca.crt}
- {name: TASUKI_AUTH_KUBERNETES_TOKEN_FILE, value: /var/run/secrets/tasuki/identity/api-token}
- {name: TASUKI_KEEP_EVENTS_DAYS, value: {{ $v.keepEventsDays | quote }}}
{{- else }}
{{- with $v.gateway.allowedOrigins }}
- {name: TASUKI_DOOR_ALLOWED_ORIGINS, value: {{ join "," . | quote }}}
{{- end }}
{{- end }}
{{- if $v.tls.enabled }}
- {name: TASUKI_TLS_CA, value: /var/run/secrets/tasuki/tls/ca.crt}
{{- if $department }}
- {name: TASUKI_TLS_CERT, value: /var/run/secrets/tasuki/tls/tls.crt}
- {name: TASUKI_TLS_KEY, value: /var/run/secrets/tasuki/tls/tls.key}
- {name: TASUKI_TLS_CLIENT_CA, value: /var/run/secrets/tasuki/tls/ca.crt}
{{- else }}
- {name: TASUKI_TLS_CLIENT_CERT, value: /var/run/secrets/tasuki/tls/tls.crt}
- {name: TASUKI_TLS_CLIENT_KEY, value: /var/run/secrets/tasuki/tls/tls.key}
{{- end }}
{{- end }}
{{- if $v.telemetry.metrics }}
- {name: OTEL_METRICS_EXPORTER, value: prometheus}
- {name: OTEL_EXPORTER_PROMETHEUS_HOST, value: 0.0.0.0}
- {name: OTEL_EXPORTER_PROMETHEUS_PORT, value: "9464"}
{{- end }}
{{- with $v.telemetry.otlpEndpoint }}
- {name: OTEL_EXPORTER_OTLP_ENDPOINT, value: {{ . | quote }}}
- {name: OTEL_EXPORTER_OTLP_PROTOCOL, value: http/protobuf}
{{- end }}
{{- range $key, $value := .settings.env }}
- {name: {{ $key }}, value: {{ $value | quote }}}
{{- end }}
{{- end -}}

{{/* Departments are ready when their port answers SERVING: a program that finds its database behind does not start at all. */}}
{{- define "tasuki.probe" -}}
{{- if eq .name "gateway" -}}
httpGet: {path: {{ .path }}, port: main}
{{- else if .root.Values.tls.enabled -}}
exec: {command: [/program, healthcheck]}
{{- else -}}
grpc: {port: {{ .program.port }}}
{{- end -}}
{{- end -}}

{{- define "tasuki.volumes" -}}
{{- $v := .root.Values -}}
{{- $department := ne .name "gateway" -}}
{{- if $department }}
# Not the token that pods have by default: one for departments only, and one that does no more than fetch the cluster's keys.
- name: identity
  projected:
    defaultMode: 0440
    sources:
      - serviceAccountToken: {path: token, audience: {{ first $v.auth.audience }}, expirationSeconds: 600}
      - serviceAccountToken: {path: api-token, expirationSeconds: 3600}
      - configMap: {name: kube-root-ca.crt, items: [{key: ca.crt, path: ca.crt}]}
{{- end }}
{{- if not $v.production }}
- name: issuer
  secret: {secretName: {{ include "tasuki.trialKeySecret" .root }}, defaultMode: 0440, items: [{key: issuer.key, path: issuer.key}]}
{{- end }}
{{- with $v.auth.caConfigMap }}
- name: issuer-ca
  configMap: {name: {{ . }}, items: [{key: ca.crt, path: ca.crt}]}
{{- end }}
{{- if and $v.apiKeys.enabled $v.apiKeys.machineKeySecret }}
{{- $half := ternary "machine.pub" "machine.key" $department }}
- name: machine
  secret: {secretName: {{ $v.apiKeys.machineKeySecret }}, defaultMode: 0440, items: [{key: {{ $half }}, path: {{ $half }}}]}
{{- end }}
{{- if $v.tls.enabled }}
- name: tls
  secret: {secretName: {{ include "tasuki.fullname" .root }}-{{ .name }}-tls, defaultMode: 0440}
{{- end }}
{{- end -}}
