# For Snowflake, which reads what the newest commit names (docs/snowflake.md): the role that its storage
# integration takes, only if asked for
# by `snowflake`, and, if it is to hear of each commit, a notification to the queue of its pipe (lake.tf).

locals {
  has_snowflake = var.snowflake.user_arn != null

  # Both are known before the role is there: Snowflake asks for them first, and only then says who will come.
  _snowflake_role        = "${var.name}-snowflake"
  _snowflake_external_id = coalesce(var.snowflake.external_id, "${var.name}-${local.account_id}")

  # Of the manifests the newest, of state the lists that it names, and the objects in these: no other target
  # of gold, no landing, no reports.
  _snowflake_prefixes = ["bronze", "gold/prod", "manifests", "silver", "state/bronze", "state/silver", "state/stream"]
}

resource "aws_iam_role" "snowflake" {
  count = local.has_snowflake ? 1 : 0

  name                 = local._snowflake_role
  permissions_boundary = var.permissions_boundary_arn
  description          = "Snowflake's storage integration: reads bronze, silver, gold_prod and what names their objects"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { AWS = var.snowflake.user_arn }
      Action    = ["sts:AssumeRole"]
      # The user is Snowflake's, and others may use it, too: the id says that it comes for this lake.
      Condition = { StringEquals = { "sts:ExternalId" = local._snowflake_external_id } }
    }]
  })
}

resource "aws_iam_role_policy" "snowflake" {
  count = local.has_snowflake ? 1 : 0

  name = "snowflake"
  role = aws_iam_role.snowflake[0].name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [
        {
          Sid      = "Read"
          Effect   = "Allow"
          Action   = ["s3:GetObject", "s3:GetObjectVersion"]
          Resource = [for prefix in local._snowflake_prefixes : "${local.bucket_arn}/${prefix}/*"]
        },
        {
          Sid       = "List"
          Effect    = "Allow"
          Action    = ["s3:ListBucket"]
          Resource  = [local.bucket_arn]
          Condition = { StringLike = { "s3:prefix" = [for prefix in local._snowflake_prefixes : "${prefix}/*"] } }
        },
        { Sid = "Locate", Effect = "Allow", Action = ["s3:GetBucketLocation"], Resource = [local.bucket_arn] },
      ],
      [for arn in local.kms_key_arns : { Sid = "Key", Effect = "Allow", Action = ["kms:Decrypt"], Resource = [arn] }],
    )
  })
}
