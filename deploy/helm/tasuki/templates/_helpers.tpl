{{- define "tasuki.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}{{ .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else -}}{{ printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" }}{{- end -}}
{{- end -}}
{{- end -}}

{{/* What never changes of a service: selectors are made of it. Takes a dict of root and name. */}}
{{- define "tasuki.selector" -}}
app.kubernetes.io/name: tasuki
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .name }}
{{- end -}}

{{- define "tasuki.labels" -}}
{{ include "tasuki.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: tasuki
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* Programs: their port, and how departments are called in settings. */}}
{{- define "tasuki.programs" -}}
marketing: {port: 9001, department: marketing}
insidesales: {port: 9002, department: inside-sales}
fieldsales: {port: 9003, department: field-sales}
customersuccess: {port: 9004, department: customer-success}
gateway: {port: 8080}
{{- end -}}

{{/* The settings of one service: the defaults, and what it has of its own. */}}
{{- define "tasuki.settings" -}}
{{- mergeOverwrite (deepCopy .root.Values.defaults) (deepCopy (index .root.Values.services .name | default dict)) | toYaml -}}
{{- end -}}

{{- define "tasuki.image" -}}
{{- with .root.Values.image -}}
{{- if .registry }}{{ .registry }}/{{ end }}{{ .prefix }}{{ $.name }}:{{ .tag | default $.root.Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{- define "tasuki.trialKeySecret" -}}
{{- .Values.auth.trialKeySecret | default (printf "%s-issuer" (include "tasuki.fullname" .)) -}}
{{- end -}}

{{/* Longest time that a program takes to end: every part has its own deadline. */}}
{{- define "tasuki.grace" -}}
{{- $parts := ternary 3 9 (eq .name "gateway") -}}
{{- with .root.Values.shutdown -}}
{{- add .preStopSeconds .drainSeconds (mul $parts .partSeconds) 5 -}}
{{- end -}}
{{- end -}}

{{- define "tasuki.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities: {drop: [ALL]}
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "tasuki.patience" -}}
- {name: TASUKI_DATABASE_WAIT, value: {{ .root.Values.databaseWaitSeconds }}s}
{{- end -}}

{{- define "tasuki.dsn" -}}
{{- $db := index .root.Values.databases .name -}}
{{- $secret := $db.secret -}}
{{- $key := $db.key -}}
{{- if and .root.Values.postgresql.enabled (not $secret) -}}
{{- $secret = printf "%s-postgresql" (include "tasuki.fullname" .root) -}}
{{- $key = printf "%s-dsn" .name -}}
{{- end -}}
- name: TASUKI_DSN
  valueFrom:
    secretKeyRef:
      name: {{ required (printf "databases.%s.secret is needed: the secret with the department's DSN (or postgresql.enabled to try out)" .name) $secret }}
      key: {{ $key }}
{{- end -}}
