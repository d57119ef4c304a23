//! What all pages say, and those about accounts.

texts! {
    Texts;

    // Of every page.
    site "买它小店后台" "buynow admin";
    skip "跳到正文" "Skip to content";
    menu "菜单" "Menu";
    orders "订单" "Orders";
    shipping "发货台" "Shipping desk";
    goods "商品" "Goods";
    incidents "异常通知" "Incidents";
    people "员工" "Staff";
    tokens "接口令牌" "API tokens";
    audit "操作记录" "Audit log";
    my_account "我的账号" "My account";
    log_out "退出登录" "Log out";
    shop "小程序" "Mini-program";
    save "保存" "Save";
    cancel "取消" "Cancel";
    back "返回" "Back";
    yes "是" "Yes";
    no "否" "No";
    none "无" "None";
    there_is_a_problem "有问题需要处理" "There is a problem";
    done "已完成" "Done";
    saved "已保存" "Saved";
    actions "操作" "Actions";
    created "创建时间" "Created";
    when "时间" "When";
    who "操作人" "Who";
    what "内容" "What";
    reason "原因" "Reason";
    nothing_here "没有内容" "There is nothing here";
    about "对象" "About";
    before "修改前" "Before";
    after "修改后" "After";
    command_line "命令行" "Command line";
    pages "翻页" "Pages";
    next_page "下一页" "Next page";
    first_page "回到第一页" "First page";
    account_log "账号操作记录" "Account log";
    shops "切换小程序" "Mini-programs";
    views_full "最多保存 20 个筛选" "At most 20 filters can be kept";

    // Ways in.
    log_in "登录" "Log in";
    login_name "账号" "Account";
    password "密码" "Password";
    code "动态验证码" "One-time code";
    code_hint "开启了两步验证的账号需要填写" "Only for accounts with two-step log-in";
    wrong_log_in "账号、密码或验证码不正确" "The account, password or code is not right";
    too_many_tries "尝试次数过多，请稍后再试" "Too many tries, please wait";
    seconds_to_wait "秒后可再试" "seconds to wait";
    logged_out "已退出登录" "You are logged out";
    confirm_title "请再次输入密码" "Please give your password again";
    confirm_why
        "这项操作涉及账号、令牌或资金，需要确认是本人"
        "This concerns accounts, tokens or money, so we make sure it is you";
    confirm "确认" "Confirm";

    // One's own account.
    name "姓名" "Name";
    language "语言" "Language";
    change_password "修改密码" "Change password";
    present_password "当前密码" "Present password";
    new_password "新密码" "New password";
    new_password_hint "10 到 128 个字符" "10 to 128 characters";
    password_changed "密码已修改，其他登录已全部结束" "The password is changed; your other log-ins have ended";
    wrong_password "密码不正确" "The password is not right";
    sessions "登录中的设备" "Where you are logged in";
    this_session "当前设备" "This one";
    device "设备" "Device";
    last_seen "最近使用" "Last used";
    end_session "结束" "End";
    end_other_sessions "结束其他所有登录" "End all other log-ins";
    two_step "两步验证" "Two-step log-in";
    two_step_on "已开启" "On";
    two_step_off "未开启" "Off";
    two_step_start "开启两步验证" "Turn on two-step log-in";
    two_step_stop "关闭两步验证" "Turn off two-step log-in";
    two_step_scan
        "用验证器应用扫描二维码，或手动输入密钥，再填写显示的六位数字"
        "Scan the picture with an authenticator app, or type the key, then give the six digits it shows";
    two_step_key "密钥" "Key";
    two_step_picture "两步验证二维码" "QR code for two-step log-in";
    wrong_code "验证码不正确" "The code is not right";

    // Staff.
    people_add "新增员工" "Add a member of staff";
    people_edit "修改员工" "Change a member of staff";
    roles "角色" "Roles";
    role "角色" "Role";
    all_shops "所有小程序" "All mini-programs";
    no_role "无权限" "No role";
    role_owner "店主" "Owner";
    role_operations "运营" "Operations";
    role_warehouse "仓库" "Warehouse";
    role_finance "财务" "Finance";
    role_read_only "只读" "Read only";
    state "状态" "State";
    active "正常" "Active";
    disabled "已停用" "Disabled";
    disable "停用" "Disable";
    enable "启用" "Enable";
    first_password "初始密码" "First password";
    reset_password "重设密码" "Set a new password";
    login_taken "账号已被使用" "This account name is taken";
    login_hint "3 到 32 个小写字母、数字、点、横线" "3 to 32 lower-case letters, digits, dots, dashes";
    cannot_grant "不能授予自己没有的权限" "You cannot grant what you do not hold";
    last_owner "至少要保留一位可登录的店主" "One owner who can log in must stay";
    not_above "不能修改权限超出自己的员工" "You cannot change somebody who holds more than you";

    // Tokens.
    tokens_add "新建令牌" "Make a token";
    token_once "请立即保存，令牌只显示这一次" "Keep it now: it is shown only this once";
    token "令牌" "Token";
    rights "权限" "Rights";
    expires "到期时间" "Expires";
    days_valid "有效天数" "Days valid";
    last_used "最近使用" "Last used";
    never "从未" "Never";
    revoke "撤销" "Revoke";
    tokens_full "最多 200 个令牌" "At most 200 tokens";
    people_full "最多 500 位员工" "At most 500 members of staff";
    no_rights_chosen "请至少选择一项权限" "Choose at least one right";

    // Rights.
    right_orders_read "查看订单" "See orders";
    right_personal_data "查看个人信息" "See personal data";
    right_orders_note "填写备注" "Write notes";
    right_orders_address "修改地址" "Change addresses";
    right_orders_price "改价" "Change prices";
    right_orders_cancel "取消订单" "Cancel orders";
    right_orders_release "手动释放库存" "Release stock by hand";
    right_orders_ship "发货" "Ship";
    right_orders_refund "退款" "Refund";
    right_orders_ask_wechat "查询微信支付结果" "Ask WeChat about payment";
    right_incidents "处理异常通知" "Handle incidents";
    right_goods_read "查看商品和库存" "See goods and stock";
    right_goods_edit "编辑商品" "Edit goods";
    right_stock_adjust "调整库存" "Adjust stock";
    right_staff "管理员工" "Manage staff";
    right_tokens "管理令牌" "Manage tokens";
    right_audit "查看操作记录" "See the audit log";

    // Refusals.
    not_found "页面不存在" "There is no such page";
    not_allowed "没有权限执行此操作" "You are not allowed to do this";
    sent_before "这个表单已经提交过，没有重复执行" "This form was sent before; nothing was done twice";
    form_expired "页面已过期，请刷新后重试" "This page has expired; load it again and retry";
    unavailable "服务暂时不可用，请稍后重试" "Not available, please try again";
    not_valid "填写的内容有误" "Something you gave is not valid";
    went_wrong "系统出错了" "Something went wrong";
}
