# Every default costs nothing while nobody uses the lake.

variable "airflow" {
  description = "Airflow, with host = ec2 or eks. version: the tag of the images of the jobs and of Airflow; log_days: how long logs are kept; ec2, eks: settings of the one that is chosen (docs/airflow.md)."
  type = object({
    # Moved: `host` is a variable of its own, because functions run the jobs without Airflow. Only told of, never read.
    host     = optional(string)
    log_days = optional(number, 30)
    version  = optional(string)
    ec2 = optional(object({
      # How long a nightly dump of Airflow's database is kept; 0: none is made.
      backup_days = optional(number, 14)
      data_gib    = optional(number, 10)
      # Its kind of processor is that of the images: t4g, m7g, ... are arm64, t3, m7i, ... x86.
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
    condition     = var.airflow.host == null
    error_message = "airflow.host is the variable host now: write host = \"${coalesce(var.airflow.host, "ec2")}\" on a line of its own, and leave it out of airflow. Nothing else changes."
  }
  validation {
    condition     = !contains(["ec2", "eks"], var.host) || can(regex("^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$", var.airflow.version))
    error_message = "airflow.version must be the tag that both images were pushed with (letters, digits, _ . -)."
  }
  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365], var.airflow.log_days)
    error_message = "airflow.log_days must be one of the days that CloudWatch knows: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365."
  }
  validation {
    condition     = alltrue([for type in [var.airflow.ec2.instance_type, var.airflow.eks.instance_type] : can(regex("^(t4g|t3a?|[cmr]([6-9]gd?|[5-9](i|a)d?|5d?))\\.(medium|x?large|[2-9]xlarge)$", type))])
    error_message = "airflow.*.instance_type must be of the families t, c, m or r from medium to 9xlarge: t4g.large, m7g.large, ... (arm64), t3.large, m7i.large, ... (x86)."
  }
  validation {
    condition     = var.airflow.ec2.backup_days >= 0 && var.airflow.ec2.backup_days <= 365 && floor(var.airflow.ec2.backup_days) == var.airflow.ec2.backup_days
    error_message = "airflow.ec2.backup_days must be whole days from 0 (no backup) to 365."
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

variable "alarms" {
  description = "Who hears of a daily run that does not come or fails, of a host that is down and of credentials that are not renewed: a mail address (AWS asks it to confirm first), an SNS topic of yours, or both. Neither: no alarms."
  type = object({
    email             = optional(string)
    hours_without_run = optional(number, 26)
    topic_arn         = optional(string)
  })
  default = {}

  validation {
    condition     = var.alarms.email == null || can(regex("^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$", var.alarms.email))
    error_message = "alarms.email must be a mail address, or null."
  }
  validation {
    condition     = var.alarms.hours_without_run >= 2 && var.alarms.hours_without_run <= 168 && floor(var.alarms.hours_without_run) == var.alarms.hours_without_run
    error_message = "alarms.hours_without_run must be whole hours from 2 to 168: CloudWatch looks back a week at most."
  }
  validation {
    condition     = var.alarms.topic_arn == null || can(regex("^arn:[a-z-]+:sns:[a-z0-9-]+:\\d{12}:[A-Za-z0-9_-]+$", var.alarms.topic_arn))
    error_message = "alarms.topic_arn must be the ARN of an SNS topic (arn:aws:sns:<region>:<account>:<name>) that CloudWatch may publish to."
  }
  validation {
    condition     = var.host != "none" || var.alarms.email == null && var.alarms.topic_arn == null
    error_message = "alarms watch what runs the jobs: set host to lambda, ec2 or eks, or leave alarms out."
  }
}

variable "bucket" {
  description = "A bucket of yours for the lake, alone. null: one is made. Yours is used as it is: what it must have is in docs/aws.md, and `listenlake doctor --aws` compares it."
  type        = string
  default     = null

  validation {
    condition     = var.bucket == null || can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.bucket))
    error_message = "bucket must be a bucket's name: 3 to 63 lower-case letters, digits and hyphens (no dots: they break TLS)."
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

variable "delivery" {
  description = "Lets the workflow deploy.yml of the repository in `github` plan and apply this configuration, each from an environment of GitHub's: plan_environment on every pull request, environment behind its reviewers. state_bucket: where the state is, if not where `make aws` puts it."
  type = object({
    environment      = optional(string, "prod")
    plan_environment = optional(string, "plan")
    state_bucket     = optional(string)
  })
  default = null

  validation {
    condition     = var.delivery == null || alltrue([for name in [try(var.delivery.environment, ""), try(var.delivery.plan_environment, "")] : can(regex("^[A-Za-z0-9_.-]+$", name))])
    error_message = "delivery.environment and delivery.plan_environment must be one environment's name each, without wildcards."
  }
  validation {
    condition     = var.delivery == null || try(var.delivery.environment != var.delivery.plan_environment, true)
    error_message = "delivery: what plans on every pull request must not be what applies: two environments."
  }
  validation {
    condition     = var.delivery == null || var.github != null
    error_message = "delivery needs github = { repository = \"owner/name\" }."
  }
}

variable "eks" {
  description = "Lets pods of an EKS cluster of your own take the job roles (host = eks makes one and needs none of this), each by the service account <name>-<job>: by IRSA (oidc_provider_arn) or by Pod Identity (cluster_name)."
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
    condition     = var.eks == null || var.host != "eks"
    error_message = "eks names a cluster that is there already: leave it out with host = eks, which makes one."
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
  description = "Lets workflows of one GitHub repository push the images, without keys, from one environment of it. jobs: whose roles they may take as well, by name; none by default. provider_arn: the account's OIDC provider for GitHub, where it has one already."
  type = object({
    environment  = optional(string, "prod")
    jobs         = optional(set(string), [])
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
  validation {
    condition     = length(setsubtract(try(var.github.jobs, []), keys(local.jobs))) == 0
    error_message = "github.jobs must be some of the jobs in jobs.tf."
  }
}

variable "host" {
  description = "What runs the jobs day by day. none: you do; lambda: functions, which cost nothing while nothing happens; ec2: Airflow on one host, for one person; eks: Airflow on a cluster, for a team (docs/aws.md compares them)."
  type        = string
  default     = "none"

  validation {
    condition     = contains(["ec2", "eks", "lambda", "none"], var.host)
    error_message = "host must be none, lambda, ec2 or eks."
  }
}

variable "iceberg" {
  description = "Also keep a copy of gold_prod as Iceberg tables, for readers beyond Athena (Snowflake, Spark, DuckDB): a database of its own and the rights to write it."
  type        = bool
  default     = false
  nullable    = false
}

variable "kms_key_arn" {
  description = "With SSE-KMS: a key of yours in this region, instead of one that is made. Its policy must let the account's IAM decide and allow AWS's services what the output key_policy says."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:\\d{12}:key/[a-z0-9-]+$", var.kms_key_arn))
    error_message = "kms_key_arn must be the ARN of a key (arn:aws:kms:<region>:<account>:key/<id>), not of an alias."
  }
  validation {
    condition     = var.kms_key_arn == null || var.encryption == "SSE-KMS"
    error_message = "kms_key_arn is used with encryption = SSE-KMS alone."
  }
}

variable "lake_formation" {
  description = "Grants in AWS Lake Formation what the policies of the roles say, for accounts where it decides beside IAM (who applies this must be a Lake Formation administrator). `listenlake doctor --aws` says whether it does."
  type        = bool
  default     = false
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

variable "network" {
  description = "Of Airflow's host. cidr: the range of the network that is made; or vpc_id and subnet_ids: one of yours (ec2: the first subnet; eks: all, in two zones at least), from where HTTPS reaches AWS, Spotify and the registries of images. public_address: the EC2 host gets one, for a subnet of yours whose way out is an internet gateway."
  type = object({
    cidr           = optional(string, "10.64.0.0/16")
    public_address = optional(bool, false)
    subnet_ids     = optional(list(string), [])
    vpc_id         = optional(string)
  })
  default = {}

  validation {
    condition     = try(tonumber(split("/", var.network.cidr)[1]) >= 16 && tonumber(split("/", var.network.cidr)[1]) <= 20 && cidrhost(var.network.cidr, 0) == split("/", var.network.cidr)[0], false)
    error_message = "network.cidr must be an IPv4 range from /16 to /20 by its first address, such as 10.64.0.0/16."
  }
  validation {
    condition     = var.network.vpc_id == null || can(regex("^vpc-[0-9a-f]{8,17}$", var.network.vpc_id))
    error_message = "network.vpc_id must be like vpc-0123456789abcdef0."
  }
  validation {
    condition     = alltrue([for id in var.network.subnet_ids : can(regex("^subnet-[0-9a-f]{8,17}$", id))]) && length(distinct(var.network.subnet_ids)) == length(var.network.subnet_ids)
    error_message = "network.subnet_ids must be like subnet-0123456789abcdef0, each once."
  }
  validation {
    condition     = (var.network.vpc_id == null) == (length(var.network.subnet_ids) == 0)
    error_message = "network.vpc_id and network.subnet_ids go together."
  }
  validation {
    condition     = var.host != "eks" || var.network.vpc_id == null || length(var.network.subnet_ids) >= 2
    error_message = "network.subnet_ids: EKS needs two at least, in two zones."
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

variable "permissions_boundary_arn" {
  description = "Policy that bounds every role that is made, where an account demands one. null: none."
  type        = string
  default     = null

  validation {
    condition     = var.permissions_boundary_arn == null || can(regex("^arn:[a-z-]+:iam::(\\d{12}|aws):policy/.+$", var.permissions_boundary_arn))
    error_message = "permissions_boundary_arn must be the ARN of an IAM policy (arn:aws:iam::<account>:policy/<name>)."
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
  description = "Secrets to make room for: spotify (extract from the Web API), pseudonym-key (load, transform of streams, forget). Terraform makes the containers, you put the values. 0.40 US dollars a month each."
  type        = set(string)
  default     = []

  validation {
    condition     = length(setsubtract(var.secrets, ["pseudonym-key", "spotify"])) == 0
    error_message = "secrets must be some of: pseudonym-key, spotify."
  }
}

variable "serverless" {
  description = "The functions of host = lambda. version: the tag of the image of the jobs, null until it was pushed (no function is made before); memory_mb, storage_mb: what each has, up to 10240; architecture: of the image; daily, time_zone: when the daily run begins (cron of EventBridge Scheduler)."
  type = object({
    architecture = optional(string, "arm64")
    daily        = optional(string, "cron(0 4 * * ? *)")
    log_days     = optional(number, 30)
    # New accounts allow no more than 3008.
    memory_mb  = optional(number, 3008)
    storage_mb = optional(number, 4096)
    time_zone  = optional(string, "UTC")
    version    = optional(string)
  })
  default = {}

  validation {
    condition     = contains(["arm64", "x86_64"], var.serverless.architecture)
    error_message = "serverless.architecture must be arm64 or x86_64."
  }
  validation {
    condition     = can(regex("^(cron|rate)\\(.+\\)$", var.serverless.daily))
    error_message = "serverless.daily must be like cron(0 4 * * ? *)."
  }
  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365], var.serverless.log_days)
    error_message = "serverless.log_days must be one of the days that CloudWatch knows: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365."
  }
  validation {
    condition     = alltrue([for megabytes in [var.serverless.memory_mb, var.serverless.storage_mb] : megabytes >= 1024 && megabytes <= 10240 && floor(megabytes) == megabytes])
    error_message = "serverless.memory_mb and .storage_mb must be whole numbers from 1024 to 10240: Lambda has no more, and a job needs a gigabyte."
  }
  validation {
    condition     = var.serverless.version == null || can(regex("^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$", var.serverless.version))
    error_message = "serverless.version must be the tag that the image was pushed with (letters, digits, _ . -)."
  }
}

variable "sharing" {
  description = "analysts: ARNs of users and roles that may take the role <name>-shared, which reads the tables of gold_prod that know no person, and no other. rows: by Lake Formation also the plays of events, without users; needs an account whose Lake Formation administrator applies this."
  type = object({
    analysts = optional(set(string), [])
    rows     = optional(bool, false)
  })
  default = {}

  validation {
    condition     = alltrue([for arn in var.sharing.analysts : can(regex("^arn:[a-z-]+:(iam|sts)::\\d{12}:[a-z-]+/[^*]+$", arn))])
    error_message = "sharing.analysts must be ARNs of IAM users or roles (arn:aws:iam::<account>:role/<name>), without wildcards."
  }
  validation {
    condition     = length(setintersection(var.sharing.analysts, var.people.analysts)) == 0
    error_message = "sharing.analysts: who may also take the analyst's role sees names all the same."
  }
  validation {
    condition     = !var.sharing.rows || length(var.sharing.analysts) > 0
    error_message = "sharing.rows needs sharing.analysts."
  }
}

variable "snowflake" {
  description = "Lets Snowflake read the lake (docs/snowflake.md). user_arn: who comes, as `describe storage integration` says; external_id: what it then says, by default <name>-<account>; queue_arn: of its pipe, as `show pipes` says, to hear of each commit. null: no role, no notification."
  type = object({
    user_arn    = optional(string)
    external_id = optional(string)
    queue_arn   = optional(string)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.snowflake.user_arn == null || can(regex("^arn:[a-z-]+:iam::\\d{12}:(user|role)/[^*]+$", var.snowflake.user_arn))
    error_message = "snowflake.user_arn must be storage_aws_iam_user_arn of the storage integration (arn:aws:iam::<account>:user/<name>), without wildcards."
  }
  validation {
    condition     = var.snowflake.external_id == null || can(regex("^[0-9A-Za-z+=,.@:/_-]{2,}$", var.snowflake.external_id)) && try(length(var.snowflake.external_id) <= 1224, false)
    error_message = "snowflake.external_id must be storage_aws_external_id of the storage integration: 2 to 1224 letters, digits and + = , . @ : / _ -."
  }
  validation {
    condition     = var.snowflake.queue_arn == null || can(regex("^arn:[a-z-]+:sqs:[a-z0-9-]+:\\d{12}:[^*]+$", var.snowflake.queue_arn))
    error_message = "snowflake.queue_arn must be notification_channel of the pipe (arn:aws:sqs:<region>:<account>:<name>)."
  }
  validation {
    condition     = var.snowflake.queue_arn == null || var.snowflake.user_arn != null
    error_message = "snowflake.queue_arn needs snowflake.user_arn: a pipe that hears of a commit must be able to read it."
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
