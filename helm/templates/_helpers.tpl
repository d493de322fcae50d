{{- define "pitlane.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "pitlane.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" }}
{{- else if contains (include "pitlane.name" .) .Release.Name }}
{{- .Release.Name | trunc 52 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "pitlane.name" .) | trunc 52 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "pitlane.selector" -}}
app.kubernetes.io/name: {{ include "pitlane.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "pitlane.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "pitlane.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "pitlane.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end }}
{{- end }}

{{- /* pitlane.yaml: what people write, and what only the chart can know. */ -}}
{{- define "pitlane.configuration" -}}
{{- $own := dict "state" "/var/lib/pitlane/state" "kill_file" "/var/lib/pitlane/stop" "log" .Values.log.format -}}
{{- if .Values.policies }}{{ $_ := set $own "policies" "/etc/pitlane/policies" }}{{ end -}}
{{- $tls := dict "cert" "/etc/pitlane/tls/tls.crt" "key" "/etc/pitlane/tls/tls.key" -}}
{{- $tokens := printf "/etc/pitlane/secrets/%s" .Values.secrets.tokensKey -}}
{{- $_ := set $own "http" (dict "listen" "0.0.0.0:9690" "tls" $tls "tokens_file" $tokens) -}}
{{ toYaml (merge $own .Values.config) }}
{{- end }}
