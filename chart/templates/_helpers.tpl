{{- define "towpath.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "towpath.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else if contains (include "towpath.name" .) .Release.Name }}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "towpath.name" .) | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "towpath.selector" -}}
app.kubernetes.io/name: {{ include "towpath.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "towpath.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "towpath.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- /* The labels of the pods of one shard; the dict has `root` and `shard`. */ -}}
{{- define "towpath.shardSelector" -}}
{{- include "towpath.selector" .root }}
{{- if gt (int .root.Values.shards) 1 }}
towpath.dev/shard: {{ .shard | quote }}
{{- end }}
{{- end }}

{{- define "towpath.serviceAccount" -}}
{{- default (include "towpath.fullname" .) .Values.serviceAccount.name }}
{{- end }}

{{- /* How Deployments, claims and Leases of one shard are called; the dict has `root` and `shard`. */ -}}
{{- define "towpath.shardName" -}}
{{- $name := include "towpath.fullname" .root }}
{{- if gt (int .root.Values.shards) 1 }}
{{- printf "%s-%d" $name .shard }}
{{- else }}
{{- $name }}
{{- end }}
{{- end }}

{{- /* Whether something tells of news: `true`, or nothing. */ -}}
{{- define "towpath.hooks" -}}
{{- $settings := .Values.existingSettings.configMap | empty | ternary .Values.settings .Values.existingSettings }}
{{- if $settings.hooks }}true{{ end }}
{{- end }}

{{- /* The Service and path that an Ingress or an HTTPRoute leads to; the dict has `root` and `what`. */ -}}
{{- define "towpath.wayIn" -}}
{{- $name := include "towpath.fullname" .root }}
{{- if eq .what "pages" }}
{{- dict "service" $name "port" .root.Values.service.port "path" "/" | toJson }}
{{- else }}
{{- if not (include "towpath.hooks" .root) }}
{{- fail "something is to lead to hooks, and the settings have no `hooks`" }}
{{- end }}
{{- dict "service" (printf "%s-hooks" $name) "port" .root.Values.hooksService.port "path" "/hooks/" | toJson }}
{{- end }}
{{- end }}

{{- define "towpath.readsCluster" -}}
{{- or (gt (int .Values.replicas) 1) (not (empty .Values.pullSecrets.names)) (not (empty .Values.pullSecrets.serviceAccount)) (not (empty .Values.argoCd.namespaces)) (not (empty .Values.customResources.namespaces)) .Values.podEvents }}
{{- end }}

{{- define "towpath.image" -}}
{{- if .Values.image.digest }}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) }}
{{- end }}
{{- end }}

{{- define "towpath.settingsMap" -}}
{{- default (printf "%s-settings" (include "towpath.fullname" .)) .Values.existingSettings.configMap }}
{{- end }}

{{- define "towpath.policies" -}}
{{- default (printf "%s-policies" (include "towpath.fullname" .)) .Values.existingPolicies }}
{{- end }}

{{- /* The settings file: what the user wrote, and what the pod decides. */ -}}
{{- define "towpath.settings" -}}
{{- if not .Values.settings.repositories }}
{{- fail "settings.repositories must name at least one manifests repository" }}
{{- end }}
{{- $own := dict "apiVersion" "towpath.dev/v1alpha1" "kind" "Settings" }}
{{- $_ := set $own "policies" (list "/etc/towpath/policies") }}
{{- $_ := set $own "cache" "/var/cache/towpath" }}
{{- $_ := set $own "listen" "0.0.0.0:8080" }}
{{- if .Values.settings.hooks }}
{{- $_ := set $own "hooks" (dict "listen" "0.0.0.0:8081") }}
{{- end }}
{{- if gt (int .Values.replicas) 1 }}
{{- $_ := set $own "leadership" (dict "lease" (include "towpath.fullname" .)) }}
{{- end }}
{{- if .Values.podEvents }}
{{- $_ := set $own "pod-events" true }}
{{- end }}
{{- merge $own .Values.settings | toYaml }}
{{- end }}
