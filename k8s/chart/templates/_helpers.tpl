{{- define "elector.name" -}}
{{ .Values.fullnameOverride | default .Release.Name | trunc 52 | trimSuffix "-" }}
{{- end }}

{{- define "elector.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "elector.labels" -}}
{{ include "elector.selector" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "elector.lease" -}}
{{ .Values.lease.name | default (include "elector.name" .) }}
{{- end }}

{{- define "elector.serviceAccount" -}}
{{- if or .Values.serviceAccount.create .Values.serviceAccount.name -}}
{{ .Values.serviceAccount.name | default (include "elector.name" .) }}
{{- else -}}
{{ fail "serviceAccount.name: missing, and serviceAccount.create is false: name the one to use" }}
{{- end -}}
{{- end }}

{{- define "elector.config" -}}
{{ .Values.config.existing | default (printf "%s-config" (include "elector.name" .)) }}
{{- end }}

{{- define "elector.image" -}}
{{- with .Values.image -}}
{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end -}}
{{- end }}

{{- define "elector.probe" -}}
{{- $values := index .root.Values.probes .which -}}
httpGet:
  path: {{ .path }}
  port: api
  scheme: {{ .root.Values.probes.scheme }}
{{ toYaml $values }}
{{- end }}

{{- define "elector.retrySeconds" -}}
{{- $seconds := 0.0 }}
{{- range regexFindAll "[0-9.]+(ms|s|m|h)" .Values.lease.retryPeriod -1 }}
{{- $unit := get (dict "ms" 0.001 "s" 1.0 "m" 60.0 "h" 3600.0) (regexFind "[a-z]+" .) }}
{{- $seconds = addf $seconds (mulf (float64 (regexFind "[0-9.]+" .)) $unit) }}
{{- end }}
{{- ceil $seconds }}
{{- end }}

{{- /* The gate's hand-over, before the demotion, has the same limit as that; the retry period for the
last renewal, 1 s to see a successor, 5 s to spare. */ -}}
{{- define "elector.terminationGrace" -}}
{{- $retry := include "elector.retrySeconds" . | int }}
{{- $gate := ternary .Values.handOver.demotionGraceSeconds 0 .Values.gate.enabled }}
{{- with .Values.handOver -}}
{{ add $gate .demotionGraceSeconds .prometheusGraceSeconds .apiGraceSeconds $retry 1 5 }}
{{- end -}}
{{- end }}
