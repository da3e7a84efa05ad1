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

{{- /* Whether the pod asks the API of its own cluster for something. */ -}}
{{- define "towpath.readsCluster" -}}
{{- $own := include "towpath.connections" . | fromYaml }}
{{- or (gt (int .Values.replicas) 1) (not (empty .Values.pullSecrets.names)) (not (empty .Values.pullSecrets.serviceAccount)) (not (empty .Values.argoCd.namespaces)) (not (empty $own)) (not (empty .Values.customResources.namespaces)) .Values.podEvents }}
{{- end }}

{{- /* The connections to Argo CD in this cluster that the user's settings have, by name. */ -}}
{{- define "towpath.connections" -}}
{{- $own := dict }}
{{- if not .Values.existingSettings.configMap }}
{{- range $name, $connection := index .Values.settings "argo-cd" | default dict }}
{{- if and (kindIs "map" $connection) (hasKey $connection "kubernetes") }}
{{- $kubernetes := $connection.kubernetes | default dict }}
{{- if not (or $kubernetes.kubeconfig $kubernetes.context) }}
{{- $_ := set $own $name $connection }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- toYaml $own }}
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

{{- /* Fails where a value would count for nothing: another stands instead, or what it needs is not there. */ -}}
{{- define "towpath.counts" -}}
{{- if and .Values.existingSettings.configMap (ne (toJson .Values.settings) `{"repositories":{}}`) }}
{{- fail "settings and existingSettings.configMap are both there: the ConfigMap has the whole settings file, so leave one of them out" }}
{{- end }}
{{- if and .Values.existingPolicies .Values.policies }}
{{- fail "policies and existingPolicies are both there: the ConfigMap has all policy files, so leave one of them out" }}
{{- end }}
{{- range $key := list "refresh" "events" }}
{{- if and (get $.Values.argoCd $key) (not $.Values.argoCd.namespaces) }}
{{- fail (printf "argoCd.%s is true, and argoCd.namespaces names no namespace in which that could be: name those of the Applications" $key) }}
{{- end }}
{{- end }}
{{- end }}

{{- /* What a settings file of the user's own has to say, by what the values ask for, a key a line. */ -}}
{{- define "towpath.needed" -}}
{{- if gt (int .Values.replicas) 1 }}
  leadership: { lease: {{ include "towpath.fullname" . }} }
{{- end }}
{{- if .Values.existingSettings.hooks }}
  hooks: { listen: 0.0.0.0:8081, ... }
{{- end }}
{{- if .Values.podEvents }}
  pod-events: true
{{- end }}
{{- with .Values.argoCd }}
{{- if .namespaces }}
  argo-cd: { here: { kubernetes: { namespaces: [{{ join ", " .namespaces }}], events: {{ .events }} }, refresh: {{ .refresh }} } }
{{- end }}
{{- end }}
{{- with .Values.customResources.namespaces }}
  custom-resources: { namespaces: { {{- range $i, $name := . }}{{ if $i }},{{ end }} {{ $name }}: { images: ... }{{ end }} } }
{{- end }}
{{- end }}

{{- /* The settings file: what the user wrote, and what the pod and the other values decide. */ -}}
{{- define "towpath.settings" -}}
{{- if not .Values.settings.repositories }}
{{- fail "settings.repositories must name at least one manifests repository" }}
{{- end }}
{{- $instead := dict "leadership" "replicas" "pod-events" "podEvents" }}
{{- range $key := list "apiVersion" "kind" "policies" "cache" "listen" "leadership" "pod-events" }}
{{- if hasKey $.Values.settings $key }}
{{- $hint := hasKey $instead $key | ternary (printf ": use the value `%s`" (get $instead $key)) "" }}
{{- fail (printf "settings.%s is written by the chart%s" $key $hint) }}
{{- end }}
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
{{- if hasKey .Values.settings "argo-cd" }}
{{- include "towpath.sameArgoCd" . }}
{{- else if .Values.argoCd.namespaces }}
{{- $kubernetes := dict "namespaces" .Values.argoCd.namespaces "events" .Values.argoCd.events }}
{{- $_ := set $own "argo-cd" (dict "here" (dict "kubernetes" $kubernetes "refresh" .Values.argoCd.refresh)) }}
{{- end }}
{{- if hasKey .Values.settings "custom-resources" }}
{{- include "towpath.sameNamespaces" . }}
{{- else if .Values.customResources.namespaces }}
{{- $namespaces := dict }}
{{- range .Values.customResources.namespaces }}
{{- $_ := set $namespaces . dict }}
{{- end }}
{{- $_ := set $own "custom-resources" (dict "namespaces" $namespaces) }}
{{- end }}
{{- merge $own .Values.settings | toYaml }}
{{- end }}

{{- /* Holds what the user's settings read of Argo CD in this cluster against the values that bring the rights. Who reads all namespaces
has a ClusterRole of their own. */ -}}
{{- define "towpath.sameArgoCd" -}}
{{- $namespaces := list }}
{{- $all := false }}
{{- $refresh := false }}
{{- $events := false }}
{{- range $name, $connection := include "towpath.connections" . | fromYaml }}
{{- $named := ($connection.kubernetes | default dict).namespaces | default "argocd" }}
{{- if eq (toString $named) "all" }}
{{- $all = true }}
{{- else }}
{{- $namespaces = concat $namespaces (kindIs "slice" $named | ternary $named (list $named)) }}
{{- end }}
{{- $refresh = or $refresh ($connection.refresh | default false) }}
{{- $events = or $events (($connection.kubernetes | default dict).events | default false) }}
{{- end }}
{{- if not $all }}
{{- include "towpath.same" (list "argoCd.namespaces" .Values.argoCd.namespaces "the `namespaces` of settings.argo-cd in this cluster" $namespaces) }}
{{- if ne $refresh .Values.argoCd.refresh }}
{{- fail (printf "argoCd.refresh is %v, and `refresh` of settings.argo-cd in this cluster is %v: make them the same" .Values.argoCd.refresh $refresh) }}
{{- end }}
{{- if ne $events .Values.argoCd.events }}
{{- fail (printf "argoCd.events is %v, and `events` of settings.argo-cd in this cluster is %v: make them the same" .Values.argoCd.events $events) }}
{{- end }}
{{- end }}
{{- end }}

{{- /* The same for custom resources. */ -}}
{{- define "towpath.sameNamespaces" -}}
{{- $settings := index .Values.settings "custom-resources" | default dict }}
{{- $named := or $settings.kubeconfig $settings.context | empty | ternary (keys ($settings.namespaces | default dict)) list }}
{{- include "towpath.same" (list "customResources.namespaces" .Values.customResources.namespaces "settings.custom-resources.namespaces in this cluster" $named) }}
{{- end }}

{{- /* Fails where two lists have not the same members; the list has the name and the members of each. */ -}}
{{- define "towpath.same" -}}
{{- $one := index . 1 | uniq | sortAlpha }}
{{- $other := index . 3 | uniq | sortAlpha }}
{{- if ne (join "," $one) (join "," $other) }}
{{- fail (printf "%s names [%s], and %s [%s]: make them the same, since the one brings the rights that the other needs" (index . 0) (join ", " $one) (index . 2) (join ", " $other)) }}
{{- end }}
{{- end }}
