# Every default costs nothing while nobody uses the lake.

variable "airflow" {
  description = "Where Airflow runs. host: none, ec2 (one host, for one person) or eks (a cluster, for a team); version: the tag of the images of the jobs and of Airflow; log_days: how long logs are kept; ec2, eks: settings of the one that is chosen (docs/airflow.md)."
  type = object({
    host     = optional(string, "none")
    log_days = optional(number, 30)
    version  = optional(string)
    ec2 = optional(object({
      data_gib      = optional(number, 10)
      instance_type = optional(string, "t4g.large")
      # When the host is up, as cron or rate expressions of EventBridge Scheduler; null: always.
      hours = optional(object({
        start    = string
        stop     = string
        timezone = optional(string, "UTC")
      }))
    }), {})
    eks = optional(object({
      # From where kubectl and helm may reach the cluster's API; empty: from inside its network alone.
      api_cidrs     = optional(set(string), [])
      instance_type = optional(string, "t4g.large")
      # null: the newest that EKS offers when the cluster is made.
      kubernetes_version = optional(string)
      nodes_max          = optional(number, 3)
    }), {})
  })
  default = {}

  validation {
    condition     = contains(["ec2", "eks", "none"], var.airflow.host)
    error_message = "airflow.host must be none, ec2 or eks."
  }
  validation {
    condition     = var.airflow.host == "none" || can(regex("^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$", var.airflow.version))
    error_message = "airflow.version must be the tag that both images were pushed with (letters, digits, _ . -)."
  }
  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365], var.airflow.log_days)
    error_message = "airflow.log_days must be one of the days that CloudWatch knows: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365."
  }
  validation {
    condition     = alltrue([for type in [var.airflow.ec2.instance_type, var.airflow.eks.instance_type] : can(regex("^(t4g|[cmr][6-9]gd?)\\.(medium|x?large|[2-9]xlarge)$", type))])
    error_message = "airflow.*.instance_type must be a Graviton type from medium to 9xlarge (t4g.large, m7g.large, ...): the images are built for arm64."
  }
  validation {
    condition     = var.airflow.ec2.data_gib >= 5 && var.airflow.ec2.data_gib <= 1000
    error_message = "airflow.ec2.data_gib must be from 5 to 1000 GiB: it holds Airflow's database and logs, not the lake."
  }
  validation {
    condition     = alltrue([for hours in var.airflow.ec2.hours[*] : alltrue([for when in [hours.start, hours.stop] : can(regex("^(cron|rate)\\(.+\\)$", when))])])
    error_message = "airflow.ec2.hours.start and .stop must be like cron(0 4 * * ? *)."
  }
  validation {
    condition     = alltrue([for cidr in var.airflow.eks.api_cidrs : try(tonumber(split("/", cidr)[1]) >= 16 && can(cidrhost(cidr, 0)), false)])
    error_message = "airflow.eks.api_cidrs must be IPv4 ranges from /16 to /32, such as 203.0.113.7/32: not the whole internet."
  }
  validation {
    condition     = var.airflow.eks.kubernetes_version == null || can(regex("^1\\.[0-9]{2}$", var.airflow.eks.kubernetes_version))
    error_message = "airflow.eks.kubernetes_version must be like 1.34, or null for the newest."
  }
  validation {
    condition     = var.airflow.eks.nodes_max >= 1 && var.airflow.eks.nodes_max <= 50
    error_message = "airflow.eks.nodes_max must be from 1 to 50."
  }
}

variable "budget" {
  description = "Alarm by mail when the account's cost of a month passes this sum (or is forecast to). No mail address, no budget."
  type = object({
    email       = optional(string)
    monthly_usd = optional(number, 10)
  })
  default = {}

  validation {
    condition     = var.budget.monthly_usd > 0
    error_message = "budget.monthly_usd must be more than 0 US dollars."
  }
  validation {
    condition     = var.budget.email == null || can(regex("^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$", var.budget.email))
    error_message = "budget.email must be a mail address, or null for no budget."
  }
}

variable "eks" {
  description = "Lets pods of an EKS cluster of your own take the job roles (airflow.host = eks makes one and needs none of this), each by the service account <name>-<job>: by IRSA (oidc_provider_arn) or by Pod Identity (cluster_name)."
  type = object({
    cluster_name      = optional(string)
    namespace         = optional(string, "listenlake")
    oidc_provider_arn = optional(string)
  })
  default = null

  validation {
    condition     = var.eks == null || try((var.eks.cluster_name == null) != (var.eks.oidc_provider_arn == null), false)
    error_message = "eks needs one of oidc_provider_arn (IRSA) and cluster_name (Pod Identity), not both."
  }
  validation {
    condition     = var.eks == null || var.airflow.host != "eks"
    error_message = "eks names a cluster that is there already: leave it out with airflow.host = eks, which makes one."
  }
  validation {
    condition     = try(var.eks.oidc_provider_arn, null) == null || can(regex("^arn:[a-z-]+:iam::\\d{12}:oidc-provider/.+$", var.eks.oidc_provider_arn))
    error_message = "eks.oidc_provider_arn must be the ARN of an IAM OIDC provider: arn:aws:iam::<account>:oidc-provider/<issuer>."
  }
}

variable "encryption" {
  description = "Who holds the key of everything at rest: SSE-S3 (AWS, free) or SSE-KMS (a key of this account that rotates; 1 US dollar a month, and every use is in CloudTrail)."
  type        = string
  default     = "SSE-S3"

  validation {
    condition     = contains(["SSE-S3", "SSE-KMS"], var.encryption)
    error_message = "encryption must be SSE-S3 or SSE-KMS."
  }
}

variable "github" {
  description = "Lets workflows of one GitHub repository push the image and take the job roles, without keys, from one environment of it. provider_arn: the account's OIDC provider for GitHub, where it has one already."
  type = object({
    environment  = optional(string, "prod")
    provider_arn = optional(string)
    repository   = string
  })
  default = null

  validation {
    condition     = var.github == null || can(regex("^[A-Za-z0-9-]+/[A-Za-z0-9._-]+$", var.github.repository))
    error_message = "github.repository must be owner/repository, without wildcards."
  }
  validation {
    condition     = var.github == null || can(regex("^[A-Za-z0-9_.-]+$", var.github.environment))
    error_message = "github.environment must be one environment's name, without wildcards."
  }
}

variable "iceberg" {
  description = "Also keep a copy of gold_prod as Iceberg tables, for readers beyond Athena (Snowflake, Spark, DuckDB): a database of its own and the rights to write it."
  type        = bool
  default     = false
  nullable    = false
}

variable "name" {
  description = "Starts the name of everything that is made, so that two lakes fit into one account."
  type        = string
  default     = "listenlake"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,18}[a-z0-9]$", var.name)) && !strcontains(var.name, "--")
    error_message = "name must be 3 to 20 lower-case letters, digits and single hyphens, and start with a letter."
  }
}

variable "people" {
  description = "ARNs of users and roles that may take the analyst role (analysts) and the job roles (operators). Empty: the account's own IAM policies decide."
  type = object({
    analysts  = optional(set(string), [])
    operators = optional(set(string), [])
  })
  default = {}

  validation {
    condition     = alltrue([for arn in setunion(var.people.analysts, var.people.operators) : can(regex("^arn:[a-z-]+:(iam|sts)::\\d{12}:[a-z-]+/[^*]+$", arn))])
    error_message = "people must be ARNs of IAM users or roles (arn:aws:iam::<account>:role/<name>), without wildcards."
  }
}

variable "region" {
  description = "AWS region. null: the one of the environment (AWS_REGION) or of the profile."
  type        = string
  default     = null

  validation {
    condition     = var.region == null || can(regex("^[a-z]{2}(-[a-z]+)+-\\d$", var.region))
    error_message = "region must look like eu-west-1."
  }
}

variable "scan_limit_gib" {
  description = "GiB that one query may scan before Athena stops it, by workgroup; a GiB costs about half a US cent."
  type = object({
    analysts = optional(number, 10)
    dev      = optional(number, 10)
    prod     = optional(number, 100)
  })
  default = {}

  validation {
    # 10 MB is the least that Athena takes.
    condition     = alltrue([for gib in values(var.scan_limit_gib) : gib >= 0.01 && gib <= 10240])
    error_message = "scan_limit_gib must be from 0.01 to 10240 GiB for each of analysts, dev and prod."
  }
}

variable "secrets" {
  description = "Secrets to make room for: spotify (extract from the Web API), pseudonym-key (load, transform). Terraform makes the containers, you put the values. 0.40 US dollars a month each."
  type        = set(string)
  default     = []

  validation {
    condition     = length(setsubtract(var.secrets, ["pseudonym-key", "spotify"])) == 0
    error_message = "secrets must be some of: pseudonym-key, spotify."
  }
}

variable "tags" {
  description = "Tags of every resource, beside project = <name>."
  type        = map(string)
  default     = {}

  validation {
    condition     = !contains(keys(var.tags), "project") && alltrue([for key in keys(var.tags) : !startswith(lower(key), "aws:")])
    error_message = "tags must not set project (it is the name) nor start with aws:."
  }
}
